"""A stand-in for the module ``network``, which the unix port lacks: interfaces that a test moves by hand."""

STA_IF = 0
STAT_WRONG_PASSWORD = -3
STAT_NO_AP_FOUND = -2
PHY_LAN8720 = 4

made = {}  # class name -> the interface


class _Interface:
    def __init__(self, **arguments):
        self.arguments = arguments
        self.asked = []  # what connect() was called with
        self.on = False
        self.connected = False
        self.code = 0
        self.broken = None  # an error to raise
        self.settings = ("0.0.0.0", "0.0.0.0", "0.0.0.0", "0.0.0.0")
        made[type(self).__name__] = self

    def active(self, on):
        if self.broken is not None:
            raise self.broken
        self.on = on

    def connect(self, *how):
        self.asked.append(how)

    def disconnect(self):
        self.asked.append("disconnect")

    def isconnected(self):
        return self.connected

    def status(self):
        return self.code

    def ifconfig(self, settings=None):
        if settings is not None:
            self.settings = settings
        return self.settings

    def rise(self, address):
        self.connected = True
        self.settings = (address, "255.0.0.0", "127.0.0.1", "127.0.0.1")


class WLAN(_Interface):
    def __init__(self, kind):
        assert kind == STA_IF
        _Interface.__init__(self)


class LAN(_Interface):
    pass
