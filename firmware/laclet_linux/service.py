"""The Linux service: one node, its shell, its control socket, from start to orderly stop."""

import os
import signal
import socket
import time

from laclet import __version__, fault, ticks
from laclet.node.dialer import FAILED, HOLDOFF, IDLE, UP
from laclet.node.node import Node

from . import privileges, udp, xfrm
from .capture import Captures
from .control import Control
from .hooks import Hooks
from .interface import EchoInterface, NoInterface
from .ipconfig import IpConfig
from .keys import Keys
from .log import Followers
from .loop import Loop, now_ms
from .metrics import Metrics, page
from .names import NameServers
from .notify import Notify
from .plane.choose import ChosenInterface
from .plane.tun import open_tun
from .state import State
from .stats import stats
from .tty import Tty

# Exit codes, with the numbers and meanings of pppd's.
OK = 0  # stopped by the control socket
FATAL_ERROR = 1
OPEN_FAILED = 7  # a socket, device or interface could not be had
USER_REQUEST = 5  # SIGTERM, SIGINT
CONNECT_FAILED = 8  # no tunnel, no call
NEGOTIATION_FAILED = 10
HANGUP = 16
AUTH_TOPEER_FAILED = 19

_EXIT_OF_LAYER = {
    fault.TUNNEL_AUTH: AUTH_TOPEER_FAILED,
    fault.AUTH: AUTH_TOPEER_FAILED,
    fault.LCP: NEGOTIATION_FAILED,
    fault.IPCP: NEGOTIATION_FAILED,
    fault.LINE: HANGUP,
    fault.MODEM: CONNECT_FAILED,
    fault.INTERFACE: OPEN_FAILED,
}

_STOP_LOOK = 50  # ms between looks whether all has been closed


class Service:
    """A node in the foreground. ``config`` as node.config.check() returns it, ``log`` as in ``log.py``.

    ``load()`` reads the configuration again: ``(config, problems)``, texts; None where there is no file to read.
    Also the node's shell: see docs/architecture.md.
    """

    def __init__(self, name, config, log, load=None):
        self.name = name
        self.log = log
        self.random = os.urandom
        self.address_text = udp.address_text
        self.hostname = socket.gethostname
        self.on_keys = Keys()
        self._captures = Captures(lambda: self.on_keys.records)
        self.on_keys.on_record = self._captures.show_key
        self.on_endpoint = self._captures.watch
        self.node = None
        self._config = config
        self._load = load
        self._loop = Loop()
        self._followers = Followers(log, self._loop)
        self._notify = Notify(self._loop, self._summary)
        self._hooks = None
        self._state = None
        self._metrics = None
        self._control = None
        self._routes = None
        self._names = None
        self._kernel = None
        self._wires = {}  # SerialLine -> Tty
        self._interfaces = set()  # those in the kernel
        self._started = time.monotonic()
        self._exit = OK
        self._stopping = False
        self._gives_up = _may_give_up(config)

    def run(self):
        """Serve until stopped; the exit code."""
        handlers = {n: signal.signal(n, self._on_signal) for n in (signal.SIGTERM, signal.SIGINT)}
        handlers[signal.SIGHUP] = signal.signal(signal.SIGHUP, self._on_hangup if self._load else self._on_signal)
        try:
            if not self._start():
                return OPEN_FAILED
            self._loop.run(self)
            return self._exit
        finally:
            self._close()
            for number, handler in handlers.items():
                signal.signal(number, handler)

    def _start(self):
        """Open what the configuration names; False after a line that tells why not."""
        try:
            user = privileges.find(self._config["user"]) if self._config["user"] else None
        except OSError as error:
            return self._cannot(fault.CONFIG, f"user: {error}")
        try:
            self._control = Control(self._loop, self.name, self._command)
        except OSError as error:
            return self._cannot(fault.CONFIG, f"service {self.name}: {error.strerror or error}")
        self.log("info", "service", f"laclet {__version__} starts as {self.name}")
        folder = self._control.folder
        self._state = State(os.path.join(folder, "state.json"))
        hooks = self._config["hooks"]
        self._hooks = Hooks(hooks["directory"], hooks["timeout"], self._say("hooks"), self._state)
        refused = self._open()
        try:
            if user is not None:
                privileges.drop(user, folder)
        except OSError as error:
            mend = "start it as root with all of its capabilities; under systemd a drop-in has User= instead"
            return self._cannot(fault.CONFIG, f"user: {error.strerror}", mend)
        self._clean(self._state.find())
        if refused is not None:
            return self._cannot(*refused)
        try:
            self.node.start(now_ms())
        except OSError as error:
            return self._cannot(fault.UDP, str(error), "choose another address or port")
        self._notify.start()
        return True

    def _open(self):
        """Make the node, with the interfaces of its calls; None, or what _cannot() takes."""
        try:
            self.node = self._make_node()
        except OSError as error:
            for each in list(self._interfaces):
                each.close()
            return fault.INTERFACE, _words(error)
        try:
            self._metrics = Metrics(self._loop, self._config["metrics"]["listen"] or (), page(self.status))
        except OSError as error:
            return fault.CONFIG, str(error), "choose another address or port"
        return None

    def _clean(self, left):
        """Take back what a service of this name has ``left`` behind; it is done when this returns."""
        if not left:
            return
        routes, _ = self._tun_tools()
        say = self._say("service")
        names = NameServers(say, self._state)
        hooks = Hooks(self._hooks.directory, self._hooks.timeout, say, self._state)
        for kind, what in left:
            try:
                if kind == "hooks":
                    hooks.down(what)
                elif kind == "resolvconf":
                    names.remove(what)
                elif kind == "xfrm":
                    xfrm.remove(what)
                    self._state.discard(kind, what)
                else:
                    routes.remove(kind, what)
            except (OSError, TypeError, ValueError) as error:
                self.log("warning", "service", f"left behind by the last one: {kind} {what}: {error}")
                self._state.discard(kind, what)
        names.close()
        hooks.close()
        self.log("info", "service", "what the last one, which was killed, has left behind is taken back")

    def _make_node(self):
        self._try_interfaces(self._config["lns"])
        return Node(self._config, self)

    def _try_interfaces(self, lns):
        """Whether an LNS can have interfaces is tried out now, not when the first caller is there."""
        if lns is not None and lns["interface"] == "tun":
            self._tun_tools()
            open_tun("laclet%d", False).close()

    def _cannot(self, layer, cause, hint=""):
        """Say why there is no service: False."""
        self.log("error", "service", str(fault.Fault(layer, cause, "", hint)))
        return False

    def _close(self):
        for each in (
            self.node,
            self._kernel,
            self._metrics,
            self._routes,
            self._names,
            self._hooks,
            self._state,
            self._followers,
            self._control,
            self._notify,
        ):
            if each is not None:
                each.close()
        self._loop.close()

    # -- for the loop ---------------------------------------------------------------------------------

    def poll_at(self):
        """The node's next deadline."""
        return self.node.poll_at()

    def on_timer(self, now):
        """The node's deadline has come."""
        self.node.on_timer(now)

    def settle(self, now):
        """After every batch: events to their owners, octets to their lines."""
        self.node.settle(now)
        for wire in self._wires.values():
            wire.flush(now)
        if self._gives_up and not self._stopping:
            self._look_whether_it_gave_up(now)

    # -- the shell --------------------------------------------------------------------------------------

    def resolve(self, host, port, done):
        """See docs/architecture.md, as for all that follow."""
        udp.resolve(self._loop, host, port, done)

    def open_udp(self, endpoint, address, port, peer):
        try:
            return udp.UdpCarrier(self._loop, endpoint, address, port, peer, self._on_refused)
        except OSError as error:
            if peer is None:
                raise OSError(f"cannot listen at {address} port {port}: {error.strerror}") from None
            raise OSError(error.strerror) from None

    def open_circuit(self, endpoint, circuit, listen, events):
        from .circuits import open_circuit

        return open_circuit(self._loop, endpoint, circuit, listen, events)

    def open_ipsec_kernel(self, config, ipsec, address, peer):
        plane = config["ipsec_plane"]
        if plane == "user" or (plane == "auto" and peer is None):  # the kernel knows one caller behind an address
            return None
        try:
            return xfrm.open_kernel(self, ipsec, address, peer, self._state)
        except OSError as error:
            if plane == "kernel":
                raise
            self.log("debug", "ipsec", f"ESP is done here, not in the kernel: {error}")
            return None

    def open_strongswan(self, config, endpoint, address, port, peer):
        from .strongswan import StrongSwan

        tunnels = self._config["tunnel"]
        section = next((name for name in tunnels if tunnels[name] is config), "lns")
        made = StrongSwan(self._loop, self.log, f"laclet-{self.name}-{section}", endpoint, config, self.node.events)
        made.open(self, address, port, peer, self._state)
        return made

    def open_radius(self, options):
        from .radius import Radius

        return Radius(self._loop, options, self.name, self._say("radius"))

    def open_line(self, options, target, line):
        wire = Tty(self._loop, options, target, line, self._say("line"))
        self._wires[line] = wire
        return wire

    def open_interface(self, options, link):
        if options.get("interface") == "echo":
            return EchoInterface(link)
        try:
            routes, names = self._tun_tools()
            hooks = self._hooks.of_call(self._ipparam(options), link)
            say = self._say("interface")
            config = IpConfig(options, routes, names, say, hooks)
            interface = ChosenInterface(self._loop, options, link, config, say, self._interfaces.discard)
        except OSError as error:
            if self.node is None:  # of a call in the configuration: there is no service without it
                raise
            who = "the caller is sent away: " if self._ipparam(options) == "lns" else ""
            return NoInterface(fault.Fault(fault.INTERFACE, who + _words(error)))
        self._interfaces.add(interface)
        return interface

    def bypass(self, port, session, options):
        if options.get("interface") == "echo" or options["data_plane"] not in ("auto", "kernel"):
            return None
        if self._kernel is None:
            from .plane.kernel import Kernel

            self._kernel = Kernel(self._loop, self._wires.get, self._say("kernel"))
        return self._kernel.bypass(port, session, options)

    def _ipparam(self, options):
        """What hooks are told of whose interface it is: the name of the call, or lns."""
        calls = self._config["call"]
        return next((name for name in calls if calls[name] is options), "lns")

    def _tun_tools(self):
        """The route table and the name servers, made when first needed."""
        if self._routes is None:
            from .routes import RouteTable

            self._routes = RouteTable(self._state)
            self._names = NameServers(self._say("names"), self._state)
        return self._routes, self._names

    def _say(self, component):
        return lambda level, text: self.log(level, component, text)

    def _on_refused(self, addr, text):
        self.log("warning", "udp", f"{udp.address_text(addr)}: {text}")

    # -- commands and signals -----------------------------------------------------------------------------

    def _command(self, command, now):
        """One command of the control socket."""
        do = command.get("do")
        if do == "status":
            return {"ok": True, "status": self.status()}
        if do == "stats":
            return {"ok": True, "stats": stats(self.status())}
        if do == "stop":
            self._stop(OK, now)
            return {"ok": True}
        if do == "reload":
            return self._reload(now)
        if do == "capture":
            return {"ok": True, "begin": lambda client: self._captures.add(client, command.get("keys") is True)}
        if do == "log":
            return {"ok": True, "entries": list(self.log.kept), "begin": self._followers.add}
        if do not in ("up", "down"):
            return _refusal("no such command; there are status, stats, up, down, reload, capture, log and stop")
        name = command.get("name")
        dialers = self.node.dialers
        if name is not None and name not in dialers:
            return {"ok": False, "error": f"no tunnel {name}; tunnels here: {', '.join(sorted(dialers)) or 'none'}"}
        for each in sorted(dialers) if name is None else (name,):
            self._dial(dialers[each], do == "up", now)
        return {"ok": True}

    def _dial(self, dialer, up, now):
        """Dial a tunnel that is not on its way, or close it and leave it closed."""
        if up and dialer.state in (IDLE, HOLDOFF, FAILED):
            dialer.stop(None, now)  # ends a hold-off
            dialer.start(now)
        elif not up:
            dialer.stop(fault.Fault(fault.TUNNEL, "taken down"), now)

    def _reload(self, now):
        """Read the configuration again, and take it if it is good: the answer to the command."""
        if self._load is None or self._stopping:
            return _refusal("it is stopping" if self._stopping else "it was started without a file")
        self._notify.reloading()
        try:
            config, problems = self._load()
            if not problems:
                problems = self._try_all(config)
            if problems:
                for each in problems:
                    self.log("error", "reload", each)
                return _refusal("nothing has changed\n" + "\n".join(problems))
            return self._take(config, now)
        finally:
            self._notify.reloaded()

    def _try_all(self, config):
        """What this machine does not grant, before anything is closed."""
        try:
            self._try_interfaces(config["lns"])
            if config["metrics"] != self._config["metrics"]:
                metrics = Metrics(self._loop, config["metrics"]["listen"] or (), page(self.status))
                self._metrics.close()
                self._metrics = metrics
        except OSError as error:
            return [_words(error)]
        return []

    def _take(self, config, now):
        """What has changed begins anew."""
        self._config = config
        self._gives_up = _may_give_up(config)
        self.log.set(config["log"]["level"], config["log"]["json"], config["log"]["syslog"])
        self._hooks.directory = config["hooks"]["directory"]
        self._hooks.timeout = config["hooks"]["timeout"]
        changes, problem = self.node.reload(config, now)
        lines = [call.line for call in self.node.calls.values() if hasattr(call, "line")]
        self._wires = {line: self._wires[line] for line in self._wires if line in lines}
        faults = [problem] if problem is not None else []
        for name, call in self.node.calls.items():
            if isinstance(getattr(call, "interface", None), NoInterface):
                faults.append(call.interface.fault)
                self.node.forget_call(name)  # the next reload tries again
        for each in changes:
            self.log("info", "reload", each)
        for each in faults:
            self.log("error", "reload", str(each))
        if faults:
            return _refusal("\n".join(map(str, faults)))
        return {"ok": True, "changes": changes}

    def _on_hangup(self, number, frame):
        self._loop.from_thread(self._reload)

    def _on_signal(self, number, frame):
        self._loop.from_thread(lambda now: self._stop(USER_REQUEST, now))

    def _stop(self, code, now):
        """Close everything in order; asked a second time, at once."""
        if self._stopping:
            self._loop.stop()
            return
        self._stopping = True
        self._exit = code
        self.log("info", "service", "stopping")
        self._notify.stopping()
        self.node.stop(now)
        self._look_for_the_end(now)

    def _look_for_the_end(self, now):
        if self.node.stopped(now):
            self._loop.stop()
        else:
            self._loop.after(_STOP_LOOK, self._look_for_the_end)

    def _look_whether_it_gave_up(self, now):
        """End when nothing is left that would ever come up again, with the exit code of the last failure."""
        last = None
        for dialer in self.node.dialers.values():
            if dialer.state != FAILED and not (dialer.calls and all(_gave_up(call) for call in dialer.calls)):
                return
            last = dialer.fault or last
            for call in dialer.calls:
                last = call.fault or last
        self._stop(_EXIT_OF_LAYER.get(last.layer, CONNECT_FAILED) if last is not None else CONNECT_FAILED, now)

    # -- for people and tools -----------------------------------------------------------------------------

    def status(self):
        """What ``laclet status`` shows: plain values, no secrets; times in seconds."""
        for each in self._interfaces:
            each.count()
        for each in self.node.bypasses.values():
            each.count()
        status = self.node.status()
        for name, call in self.node.calls.items():
            status["calls"][name].pop("since", None)  # a tick of the core's clock says nothing outside
            status["calls"][name].update(_interface_status(getattr(call, "interface", None)))
        for name, dialer in self.node.dialers.items():
            tunnel = dialer.tunnel
            heard = ticks.diff(now_ms(), tunnel.heard) / 1000 if tunnel is not None and dialer.state == UP else None
            status["tunnels"][name]["heard"] = heard  # seconds ago
        if self.node.lns is not None:
            for caller, shown in zip(self.node.lns.callers.values(), status["lns"]["callers"], strict=True):
                shown.update(_interface_status(caller.interface))
        status["name"] = self.name
        status["version"] = __version__
        status["pid"] = os.getpid()
        status["uptime"] = round(time.monotonic() - self._started, 1)
        status["sockets"] = [
            {"local": list(endpoint.carrier.local[:2]), "drops": _carrier_drops(endpoint.carrier)}
            for endpoint in self.node.endpoints()
        ]
        return status

    def _summary(self):
        """One line for the service manager."""
        calls = [call.status()["state"] for call in self.node.calls.values()]
        words = [f"{calls.count('up')} of {len(calls)} calls up"] if calls else []
        if self.node.lns is not None:
            words.append(f"{len(self.node.lns.callers)} callers")
        return ", ".join(words)


def _refusal(error):
    return {"ok": False, "error": error}


def _may_give_up(config):
    """Only a service that may give up some day has to look whether it has."""
    return config["lns"] is None and any(
        not tunnel["redial"] or tunnel["max_redials"] for tunnel in config["tunnel"].values()
    )


def _interface_status(interface):
    """Name and age of a call's interface, if it has one."""
    if interface is None or interface.name is None:
        return {}
    since = interface.since
    up_for = round(time.monotonic() - since, 1) if since is not None else None
    plane = getattr(interface, "plane", None)
    return {"interface": interface.name, "plane": plane, "up_for": up_for, "drops": interface.drops}


def _carrier_drops(carrier):
    """What a carrier has dropped, and what moves packets for it."""
    return carrier.all_drops() if hasattr(carrier, "all_drops") else carrier.drops


def _gave_up(call):
    """True for a LAC client's call that is not placed again; a line waits for ever."""
    return getattr(call, "gave_up", False)


def _words(error):
    """An OSError in words, with the file if there is one."""
    words = error.strerror or str(error)
    return f"{error.filename}: {words}" if error.filename else words
