"""Control messages in words, for a log at level debug: ``L2TP ICRP tunnel 7/9 Ns 1 Nr 2 <Assigned Session ID 5>``.

Loaded only when somebody looks. Values that could help to guess a secret are hidden.
"""

from ..fault import clean
from ..wire import avp
from ..wire.l2tp import check_control, message_name, u16

_NAMES = (
    "Message Type",
    "Result Code",
    "Protocol Version",
    "Framing Capabilities",
    "Bearer Capabilities",
    "Tie Breaker",
    "Firmware Revision",
    "Host Name",
    "Vendor Name",
    "Assigned Tunnel ID",
    "Receive Window Size",
    "Challenge",
    "Q.931 Cause Code",
    "Challenge Response",
    "Assigned Session ID",
    "Call Serial Number",
    "Minimum BPS",
    "Maximum BPS",
    "Bearer Type",
    "Framing Type",
    "20",
    "Called Number",
    "Calling Number",
    "Sub-Address",
    "Tx Connect Speed",
    "Physical Channel ID",
    "Initial Received LCP CONFREQ",
    "Last Sent LCP CONFREQ",
    "Last Received LCP CONFREQ",
    "Proxy Authen Type",
    "Proxy Authen Name",
    "Proxy Authen Challenge",
    "Proxy Authen ID",
    "Proxy Authen Response",
    "Call Errors",
    "ACCM",
    "Random Vector",
    "Private Group ID",
    "Rx Connect Speed",
    "Sequencing Required",
)
_TEXTS = (avp.HOST_NAME, avp.VENDOR_NAME, avp.CALLED_NUMBER, avp.CALLING_NUMBER, avp.SUB_ADDRESS, avp.PROXY_AUTHEN_NAME)
_SECRETS = (avp.CHALLENGE_RESPONSE, avp.PROXY_AUTHEN_RESPONSE)


def describe(buf, start, end, secret=None):
    """One line for the control message at ``buf[start:end]``; hidden AVPs are shown if ``secret`` reveals them."""
    end = check_control(buf, start, end)
    if end < 0:
        return "L2TP control message with a bad header"
    text = "tunnel %d session %d Ns %d Nr %d" % (
        u16(buf, start + 4),
        u16(buf, start + 6),
        u16(buf, start + 8),
        u16(buf, start + 10),
    )
    if end - start == 12:
        return "L2TP ZLB " + text
    mtype, avps, problem = avp.parse(buf, start + 12, end, secret)
    text = "L2TP " + message_name(mtype) + " " + text
    for atype, value in avps:
        name = _NAMES[atype] if atype < len(_NAMES) else "AVP %d" % atype
        text += " <" + name + " " + _value(atype, value) + ">"
    return text + (" (" + problem[1] + ")" if problem else "")


def _value(atype, value):
    if atype in _SECRETS:
        return "(hidden)"
    if atype == avp.RESULT_CODE:
        return "%d error %d '%s'" % (value[0], value[1], clean(value[2]))
    if atype in _TEXTS:
        return "'" + clean(value) + "'"
    if isinstance(value, bytes):
        return "0x" + "".join(["%02x" % b for b in value])
    return str(value)
