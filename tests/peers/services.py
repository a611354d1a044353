"""Services of the net in a place: dnsmasq and chrony."""

from peers.lab import Daemon


class Dnsmasq(Daemon):
    """Answers at port 53 for ``names`` {name: address}; knows no other."""

    def __init__(self, place, names):
        self.place = place
        self.names = names

    def start(self):
        hosts = [f"--address=/{name}/{address}" for name, address in self.names.items()]
        self.process = self.place.spawn(
            *["dnsmasq", "--no-daemon", "--no-resolv", "--no-hosts", "--user=root", "--pid-file=", *hosts],
            log="dnsmasq.log",
        )
        self.place.until("udp_port", 53)
        return self

    def stop(self):
        self.process.stop()


class Chrony(Daemon):
    """Serves the time of this machine, whose clock it leaves alone."""

    def __init__(self, place):
        self.place = place

    def start(self):
        conf = self.place.write(
            f"{self.place.directory}/chrony.conf",
            f"local stratum 8\nallow all\ncmdport 0\nport 123\npidfile {self.place.directory}/chrony.pid\n",
        )
        self.process = self.place.spawn(*["chronyd", "-d", "-x", "-u", "root", "-f", conf], log="chrony.log")
        self.place.until("udp_port", 123)
        return self

    def stop(self):
        self.process.stop()
