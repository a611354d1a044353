"""Talk with charon, strongSwan's daemon, by vici: one connection of ours, its credentials, its SAs."""

import contextlib
import os
import socket
import threading

from laclet.carrier.ipsec.tables import ABSENT
from laclet.fault import IKE, Fault

try:
    import vici
    from vici.exception import CommandException, SessionException

    _ERRORS = (OSError, CommandException, SessionException)
except ImportError:  # the extra ``strongswan``
    vici = None

_SOCKET = "/var/run/charon.vici"
_ASK = 5  # s: charon answers within milliseconds, or it hangs
_PATIENCE = 30_000  # ms until a negotiation has failed

_PSK = ("the pre-shared key differs", "compare ipsec_psk")
_CERTIFICATE = ("the peer does not take our certificate, or we not its", "compare ipsec_ca and ipsec_peer_id")
_IMPOSTOR = ("the peer is not who ipsec_peer_id says", "compare ipsec_peer_id with the subject of its certificate")
_FOREIGN = ("the peer has no policy for UDP 1701 in transport mode", "is it an L2TP/IPsec server?")
_FAILED = ("the negotiation failed", "ask its log")


def _why(text, phase, secret):
    """``(cause, hint)`` of a line of charon's log, or None; ``phase`` is IKE or ESP, ``secret`` what may differ."""
    if "received NO_PROPOSAL_CHOSEN" in text:
        return f"no common {phase} proposal", f"compare ipsec_{phase.lower()}"
    if "received AUTHENTICATION_FAILED" in text or "could not decrypt" in text or "no trusted RSA public key" in text:
        return secret
    if "IDir" in text and "does not match" in text:
        return _IMPOSTOR
    return _FOREIGN if "received INVALID_ID_INFORMATION" in text else None


def _session(patience=_ASK):
    """A conversation; raises OSError."""
    if vici is None:
        raise OSError("strongSwan needs vici: pip install laclet[strongswan]")
    path = os.environ.get("LACLET_VICI", _SOCKET)
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    made.settimeout(_ASK)
    try:
        made.connect(path)
    except OSError as error:
        made.close()
        raise OSError(f"no strongSwan at {path}: {error.strerror}") from None
    made.settimeout(patience)
    return vici.Session(made)


def _end(session):
    with contextlib.suppress(OSError):  # charon was faster
        session.transport.close()


class Charon:
    """The connection ``name``, whose child and secret have the same name.

    ``on_sa(host, algorithms, up)`` is called in the loop when an ESP SA comes or goes, ``on_gone()`` when charon ends.
    """

    def __init__(self, loop, name, on_sa, on_gone):
        self._loop = loop
        self._name = name
        self._on_sa = on_sa
        self._on_gone = on_gone
        self._listener = None  # the Session that tells of SAs
        self._keys = set()  # ids of private keys
        self._secret = _PSK  # what has failed when authentication has

    def load(self, connection, secret=None, key=None, ca=None):
        """Give it all it needs, and listen to what it tells. ``secret`` as vici takes it. Raises OSError."""
        session = _session()
        try:
            if secret:
                session.load_shared({"id": self._name, "type": "IKE", **secret})
            if key:
                self._secret = _CERTIFICATE
                self._keys.add(session.load_key({"type": "any", "data": key})["id"].decode())
                session.load_cert({"type": "X509", "flag": "CA", "data": ca})
            session.load_conn({self._name: connection})
        except (CommandException, SessionException) as error:
            raise OSError(f"strongSwan: {error}") from None
        finally:
            _end(session)
        if self._listener is None:
            self._listener = _session(None)
            threading.Thread(target=self._listen, args=(self._listener,), name=self._name, daemon=True).start()

    def initiate(self, done):
        """Negotiate; ``done(fault)`` is called in the loop when nothing comes of it."""
        threading.Thread(target=self._negotiate, args=(done,), name=self._name, daemon=True).start()

    def terminate(self):
        """Delete all SAs, those in the making as well."""
        self._do("terminate", {"ike": self._name, "timeout": -1})

    def has_sas(self, host):
        """True when there is an ESP SA with ``host``."""
        for found in self._do("list_sas", {"ike": self._name}):
            for sa in found.values():
                states = [child["state"] for child in sa["child-sas"].values()]
                if sa["remote-host"].decode() == host and b"INSTALLED" in states:
                    return True
        return False

    def close(self):
        """Delete all SAs, and take back what it was given."""
        if self._listener is None:
            return
        session, self._listener = self._listener, None
        self.terminate()
        self._do("unload_conn", {"name": self._name})
        self._do("unload_shared", {"id": self._name})
        for key in self._keys:
            self._do("unload_key", {"id": key})
        _end(session)

    def _do(self, method, *arguments):
        """One request, whose failure changes nothing; its answers."""
        try:
            session = _session()
        except OSError:
            return []
        try:
            return list(getattr(session, method)(*arguments) or ())
        except _ERRORS:
            return []
        finally:
            _end(session)

    # -- in threads -----------------------------------------------------------------------------------

    def _negotiate(self, done):
        try:
            session = _session(None)
        except OSError as error:
            fault = Fault(IKE, str(error))
        else:
            fault = self._follow(session)
            _end(session)
        if fault is not None:
            self._loop.from_thread(lambda now: done(fault))

    def _follow(self, session):
        """The Fault of a negotiation that came to nothing, found in what charon logs meanwhile; None when it is up."""
        why = None
        said = ""
        phase = "IKE"
        try:
            wanted = {"ike": self._name, "child": self._name, "timeout": _PATIENCE, "loglevel": 1}
            for line in session.initiate(wanted):
                text = line["msg"].decode(errors="replace")
                if " established between " in text:
                    phase = "ESP"
                if why is None:
                    why = _why(text, phase, self._secret)
                    if why is not None:
                        said = text
                        self.terminate()  # it would go on trying
                    elif text.startswith("received packet"):
                        said = text
        except CommandException:
            cause, hint = why or (_FAILED if said else ABSENT)
            return Fault(IKE, cause, said, hint)
        except (OSError, SessionException):
            return Fault(IKE, "strongSwan ended")
        return None

    def _listen(self, session):
        with contextlib.suppress(*_ERRORS):
            for _, told in session.listen(["child-updown"]):
                if self._name in told:
                    sa = told[self._name]
                    up = told.get("up") == b"yes"
                    arguments = sa["remote-host"].decode(), _algorithms(sa), up
                    self._loop.from_thread(lambda now, arguments=arguments: self._tell(session, arguments))
        self._loop.from_thread(lambda now: self._gone(session))

    # -- in the loop ----------------------------------------------------------------------------------

    def _tell(self, session, arguments):
        if session is self._listener:
            self._on_sa(*arguments)

    def _gone(self, session):
        if session is self._listener:
            self._listener = None
            _end(session)
            self._on_gone()


def _algorithms(sa):
    """What charon tells of an IKE SA and its newest child, in a few words."""
    child = list(sa["child-sas"].values())[-1]
    way = "ESP in UDP" if child.get("encap") == b"yes" else "ESP"
    ike, esp = (
        "-".join(part[key].decode() for key in ("encr-alg", "encr-keysize", "integ-alg", "dh-group") if key in part)
        for part in (sa, child)
    )
    return f"{ike}, {way} {esp} by strongSwan"
