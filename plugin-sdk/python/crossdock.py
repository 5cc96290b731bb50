"""Write a mapper in Python: what turns a vendor's documents into canonical events, and events into documents.

    from sdk.crossdock import Event, refuse

    def to_canonical(context, document):
        shipment = document.json().get("shipmentId")
        if not shipment:
            refuse("missing", "the shipment has no number", "/shipmentId")
        return Event("shipment.dispatched", {"shipment": shipment}).natural_key("shipment", shipment)

A mapper is a pure function: no clock, no randomness, no network, no memory of the message before. `mapper.py` has up to
three of them: `to_canonical`, `from_canonical` and `acknowledge`. One that it leaves out answers `unsupported`.
Everything is imported when the mapper is built; nothing can be when it runs.
"""

import gc
import json
import re
from dataclasses import dataclass, field

from componentize_py_types import Err
from wit_world.imports import log as _log, tables as _tables, types as wit

# What the gateway hands over: `context.partner`, `context.zone`, `context.control_numbers` and so on.
Context = wit.Context
Location = wit.Location
Outcome = wit.Outcome


# An instance lives for one message: looking for garbage would only touch all of the interpreter's memory.
gc.disable()

# Deeper than any document; the interpreter's own parser would run out of stack.
DEPTH = 1000


class Refusal(Exception):
    """Why a document is not accepted: diagnostics, each with its place."""

    def __init__(self, diagnostics):
        super().__init__("; ".join(each.message for each in diagnostics))
        self.diagnostics = diagnostics


def diagnostic(code, message, at=None, severity="error", standard_code=None):
    """A remark, or a reason to refuse. `at` is a JSON Pointer, or a location of another scheme."""
    if isinstance(at, str):
        at = location("json-pointer", at)
    return wit.Diagnostic(wit.Severity[severity.upper()], _sound(code), standard_code, at, _sound(message), [])


def location(scheme, path, offset=None, length=None):
    """A place in the sender's document: `json-pointer`, `xpath`, `x12`, `edifact`, `csv` or `bytes`."""
    return wit.Location(scheme, _sound(path), offset, length)


def refuse(code, message, at=None):
    """Refuses the document."""
    raise Refusal([diagnostic(code, message, at)])


class Event:
    """A canonical event without its envelope, which is the gateway's. Every method gives the event on."""

    def __init__(self, kind, data, schema_version="1.0"):
        self.kind, self.data, self.schema_version = kind, data, schema_version
        self.keys, self.order_keys, self.corrected = [], [], []
        self.number = self.time = None

    def natural_key(self, kind, value):
        """Adds to what makes it the same business fact: `("shipment", "4711")`."""
        self.keys.append((kind, value))
        return self

    def order_key(self, kind, value):
        """Adds a business key whose order it keeps; the flow's own key, usually the order, comes first."""
        self.order_keys.append((kind, value))
        return self

    def occurred_at(self, time):
        """When it happened: a canonical time, or text."""
        self.time = _time_text(time) if isinstance(time, dict) else time
        return self

    def sequence(self, number):
        """The source's own number of it, where the source counts."""
        self.number = number
        return self

    def corrects(self, kind, value):
        """Adds to the natural key of the fact that it corrects or reverses."""
        self.corrected.append((kind, value))
        return self


@dataclass
class Mapped:
    """Events, units that could not be mapped while their neighbours could, and remarks."""

    events: list
    rejects: list = field(default_factory=list)
    diagnostics: list = field(default_factory=list)


def reject(unit, at, diagnostics):
    """A unit that could not be mapped."""
    return wit.Reject(unit, at, diagnostics, [])


class Input:
    """A document in a vendor's own format, as it came."""

    def __init__(self, media_type, content, parameters):
        self.media_type, self.content, self.parameters = media_type, content, parameters

    def text(self):
        """The content as text; refuses what is not UTF-8."""
        try:
            return self.content.decode()
        except UnicodeDecodeError as error:
            refuse("not-utf8", "the document is not UTF-8", location("bytes", str(error.start), error.start, 1))

    def json(self):
        """The content as JSON; refuses what is none. A decimal is the text that it was written with, so that it loses
        no digit: `20.0` is "20.0"."""
        return _parse(self.text())


@dataclass
class Output:
    """A document in a target's own format, as it goes. The parameters are values for the target's URL template and the
    headers that it allows."""

    media_type: str
    content: bytes
    parameters: list = field(default_factory=list)


def json_output(value, parameters=()):
    """A document of a value as JSON."""
    return Output("application/json", _written(value), list(parameters))


@dataclass
class Recorded:
    """An event as the gateway recorded it. Decimals in its data are texts."""

    id: str
    source: str
    recorded_at: str
    kind: str
    natural_key: list
    order_keys: list
    occurred_at: str | None
    data: dict


def lookup(table, *key):
    """The row of a table that the operation grants, by column; None where there is none."""
    row = _tables.lookup(table, [_sound(part) for part in key])
    return None if row is None else dict(row)


def log(message):
    """A line in the gateway's log of this message; 4 KiB of them are kept."""
    _log.write(wit.Severity.INFO, _sound(message))


def _sound(text):
    """Half of a surrogate pair, which a sender may write as `\\ud800`, cannot leave the interpreter."""
    return text if text is None or text.isascii() else text.encode("utf-8", "replace").decode()


def _pairs(pairs):
    return [(_sound(name), _sound(value)) for name, value in pairs]


def _no_number(word):
    raise ValueError(f"{word} is no number in JSON")


def _parse(text):
    if _is_deep(text):
        refuse("not-understood", f"the JSON is nested more than {DEPTH} deep")
    try:
        return json.loads(text, parse_float=str, parse_constant=_no_number)
    except json.JSONDecodeError as error:
        offset = len(text[: error.pos].encode("utf-8", "replace"))
        place = location("bytes", str(offset), offset, 1 if error.pos < len(text) else 0)
        refuse("not-understood", error.msg, place)
    except (ValueError, RecursionError) as error:
        refuse("not-understood", str(error))


def _is_deep(text):
    if text.count("[") + text.count("{") <= DEPTH:
        return False
    depth = 0
    for found in re.finditer(r'"(?:[^"\\]|\\.)*"|[\[\]{}]', text, flags=re.DOTALL):
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(found[0], 0)
        if depth > DEPTH:
            return True
    return False


def _written(value):
    return json.dumps(value, separators=(",", ":"), allow_nan=False).encode()


def exported(mapper):
    """The contract's exports for a module of a mapper's functions."""

    def offered(name, what):
        function = getattr(mapper, name, None)
        return function or (lambda *_: refuse("unsupported", f"this mapper {what}"))

    to_canonical = offered("to_canonical", "reads no documents")
    from_canonical = offered("from_canonical", "writes no documents")
    acknowledge = offered("acknowledge", "writes no acknowledgements")

    class WitWorld:
        def to_canonical(self, context, document):
            given = Input(document.media_type, document.content, document.parameters)
            return _answer(lambda: _lower_mapped(to_canonical(context, given)))

        def from_canonical(self, context, events):
            return _answer(lambda: _lower_output(from_canonical(context, [_recorded(each) for each in events])))

        def acknowledge(self, context, outcomes):
            return _answer(lambda: _lower_output(acknowledge(context, outcomes)))

    return WitWorld


def _answer(answer):
    """Raises what the contract wants: the list of diagnostics. Any other error is the mapper's own, not the sender's: it
    goes to the log and on, and ends the instance."""
    try:
        return answer()
    except Refusal as refusal:
        raise Err(refusal.diagnostics) from None
    except Exception as error:
        # Written by hand: the library's own would read the source files, which are not there.
        lines, frame = [f"{type(error).__name__}: {error}"], error.__traceback__
        while frame:
            code = frame.tb_frame.f_code
            lines.append(f"  {code.co_filename.rpartition('/')[2]}:{frame.tb_lineno} in {code.co_name}")
            frame = frame.tb_next
        _log.write(wit.Severity.ERROR, _sound("\n".join(lines)))
        raise


def _lower_mapped(mapped):
    if isinstance(mapped, Event):
        mapped = Mapped([mapped])
    elif isinstance(mapped, list):
        mapped = Mapped(mapped)
    return wit.Mapped([_lower_event(event) for event in mapped.events], mapped.rejects, mapped.diagnostics, [])


def _lower_event(event):
    return wit.Event(
        event.kind,
        event.schema_version,
        _pairs(event.keys),
        _pairs(event.order_keys),
        _sound(event.number),
        _pairs(event.corrected),
        _sound(event.time),
        _written(event.data),
        [],
    )


def _lower_output(output):
    if output is None:
        return None
    content = output.content.encode("utf-8", "replace") if isinstance(output.content, str) else output.content
    return wit.Document(output.media_type, content, _pairs(output.parameters), [])


def _recorded(recorded):
    event = recorded.event
    data = _parse(event.data.decode())
    facts = (event.kind, event.natural_key, event.order_keys, event.occurred_at, data)
    return Recorded(recorded.id, recorded.source, recorded.recorded_at, *facts)


# Parts of the canonical model.


def gtin(value):
    """An identifier whose last digit GS1 defines; a wrong one is kept and flagged."""
    return {"scheme": "gtin", "value": value, "check": "valid" if check_gs1(value) else "invalid"}


def check_gs1(digits):
    """Do the digits end in the check digit that GS1 (GTIN, GLN, SSCC) asks for?"""
    if not (2 <= len(digits) <= 64 and digits.isascii() and digits.isdigit()):
        return False
    return sum(int(digit) * (3 if index % 2 else 1) for index, digit in enumerate(reversed(digits))) % 10 == 0


_TIME = re.compile(
    "([0-9]{4})-([0-9]{2})-([0-9]{2})"
    r"(?:T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]{1,9})?(Z|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])?)?"
)


def time(text, zone=None, at=None, classifier="actual"):
    """A time of the document, in the form of RFC 3339: a moment where it states its offset, else local, in the
    partner's zone if the policy knows it; a day where it says no more. Refuses what is none of these (`not-a-time`, at
    the place)."""
    found = _TIME.fullmatch(text)
    if not found or not _is_day(*(int(part) for part in found.group(1, 2, 3))):
        refuse("not-a-time", "a time is needed, as in 2026-11-20T14:05:00+01:00", at)
    if found[4]:
        return {"at": text, "basis": "offset", "classifier": classifier}
    return {"local": text} | ({"zone": zone} if zone else {}) | {"basis": "local", "classifier": classifier}


def _is_day(year, month, day):
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    days = (31, 29 if leap else 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
    return 1 <= month <= 12 and 1 <= day <= days[month - 1]


def _time_text(time):
    """As an event's `occurred_at` wants it: a local time with its zone in brackets (RFC 9557)."""
    local, zone = time.get("local"), time.get("zone")
    return time.get("at") or (f"{local}[{zone}]" if local and zone and "T" in local else local)
