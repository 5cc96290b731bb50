// Package crossdock is for mappers in Go: what turns a vendor's documents into canonical events, and events into
// documents.
//
//	func main() {
//		crossdock.Run(crossdock.Mapper{ToCanonical: read})
//	}
//
//	func read(_ *crossdock.Context, document *crossdock.Document) (crossdock.Mapped, error) {
//		var in struct{ ShipmentID string `json:"shipmentId"` }
//		if err := document.JSON(&in); err != nil {
//			return crossdock.Mapped{}, err
//		}
//		event := crossdock.NewEvent("shipment.dispatched", map[string]any{"shipment": in.ShipmentID})
//		return event.NaturalKey("shipment", in.ShipmentID).Mapped(), nil
//	}
//
// A mapper is a pure function: no clock, no randomness, no network, no memory of the message before. A direction that
// it leaves out answers `unsupported`.
package crossdock

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strings"
	"unicode/utf8"
)

// Pair is a name and its value; order and repeats are kept.
type Pair [2]string

// Context is what a mapper knows besides the document. The same context and document always give the same result.
type Context struct {
	Partner        string          `json:"partner"`
	Sender         string          `json:"sender"`
	Receiver       string          `json:"receiver"`
	Operation      string          `json:"operation"`
	Version        string          `json:"version"`
	Stage          string          `json:"stage"`       // "request" or "answer"
	ReceivedAt     string          `json:"received_at"` // RFC 3339; the only clock a mapper sees
	Zone           string          `json:"zone"`        // IANA zone for times that carry none, where the policy knows it
	ControlNumbers []Pair          `json:"control_numbers"`
	Config         json.RawMessage `json:"config"`
	MediaType      string          `json:"media_type"`
	Parameters     []Pair          `json:"parameters"`
}

// Document is a document in a vendor's own format, as it came.
type Document struct {
	MediaType  string
	Content    []byte
	Parameters []Pair
}

// JSON reads the content; the error refuses what is none, or not of the form of into.
func (d *Document) JSON(into any) error {
	return readJSON(d.Content, into)
}

// Location is a place in the sender's own document: json-pointer, xpath, x12, edifact, csv or bytes.
type Location struct {
	Scheme string  `json:"scheme"`
	Path   string  `json:"path"`
	Offset *uint32 `json:"offset,omitempty"`
	Length *uint32 `json:"length,omitempty"`
}

// At is the place that a JSON Pointer names.
func At(pointer string) *Location {
	return &Location{Scheme: "json-pointer", Path: pointer}
}

// AtBytes is a place by bytes of the document.
func AtBytes(offset, length int) *Location {
	from, over := uint32(offset), uint32(length)
	return &Location{Scheme: "bytes", Path: fmt.Sprint(offset), Offset: &from, Length: &over}
}

// Diagnostic is a remark, or a reason to refuse.
type Diagnostic struct {
	Severity     string    `json:"severity"` // "info", "warning" or "error"
	Code         string    `json:"code"`
	StandardCode string    `json:"standard_code,omitempty"` // the standard's own code for it
	At           *Location `json:"at,omitempty"`
	Message      string    `json:"message"`
	More         []Pair    `json:"more,omitempty"` // of an outcome: segment, position, value
}

// Refusal is the error that says why a document is not accepted.
type Refusal []Diagnostic

func (r Refusal) Error() string {
	messages := make([]string, len(r))
	for i, each := range r {
		messages[i] = each.Message
	}
	return strings.Join(messages, "; ")
}

// Refuse is a refusal for one reason; at may be nil.
func Refuse(code, message string, at *Location) error {
	return Refusal{{Severity: "error", Code: code, Message: message, At: at}}
}

// Event is a canonical event without its envelope, which is the gateway's.
type Event struct {
	Type       string `json:"type"`
	Natural    []Pair `json:"natural_key"`
	Order      []Pair `json:"order_keys"`
	Number     string `json:"sequence,omitempty"`
	Corrected  []Pair `json:"corrects,omitempty"`
	OccurredAt string `json:"occurred_at,omitempty"`
	Data       any    `json:"data"`
}

// NewEvent is an event of a type, with data by its canonical schema.
func NewEvent(kind string, data any) *Event {
	return &Event{Type: kind, Data: data, Natural: []Pair{}, Order: []Pair{}}
}

// NaturalKey adds to what makes it the same business fact: ("shipment", "4711").
func (e *Event) NaturalKey(kind, value string) *Event {
	e.Natural = append(e.Natural, Pair{kind, value})
	return e
}

// OrderKey adds a business key whose order it keeps; the flow's own key, usually the order, comes first.
func (e *Event) OrderKey(kind, value string) *Event {
	e.Order = append(e.Order, Pair{kind, value})
	return e
}

// Occurred says when it happened.
func (e *Event) Occurred(t Time) *Event {
	e.OccurredAt = t.text()
	return e
}

// Mapped is the event alone.
func (e *Event) Mapped() Mapped {
	return Mapped{Events: []*Event{e}}
}

// Reject is a unit that could not be mapped while its neighbours could.
type Reject struct {
	Unit        string       `json:"unit"`
	At          *Location    `json:"at"`
	Diagnostics []Diagnostic `json:"diagnostics"`
}

// Mapped is what became of a document.
type Mapped struct {
	Events      []*Event     `json:"events"`
	Rejects     []Reject     `json:"rejects,omitempty"`
	Diagnostics []Diagnostic `json:"diagnostics,omitempty"` // remarks on a document that is accepted
}

// Recorded is an event as the gateway recorded it.
type Recorded struct {
	ID         string          `json:"id"`
	Source     string          `json:"source"`
	RecordedAt string          `json:"recorded_at"`
	Type       string          `json:"type"`
	NaturalKey []Pair          `json:"natural_key"`
	OrderKeys  []Pair          `json:"order_keys"`
	OccurredAt string          `json:"occurred_at"`
	Data       json.RawMessage `json:"data"`
}

// JSON reads the event's data.
func (r *Recorded) JSON(into any) error {
	return readJSON(r.Data, into)
}

// Output is a document in a target's own format, as it goes.
type Output struct {
	MediaType  string
	Content    []byte
	Parameters []Pair // values for the target's URL template and the headers that it allows
}

// JSONOutput is a document of a value as JSON.
func JSONOutput(value any, parameters ...Pair) (Output, error) {
	content, err := writeJSON(value)
	return Output{MediaType: "application/json", Content: content, Parameters: parameters}, err
}

// Mapper is what a mapper offers.
type Mapper struct {
	ToCanonical   func(*Context, *Document) (Mapped, error)
	FromCanonical func(*Context, []Recorded) (Output, error)
	// Acknowledge writes the functional acknowledgement of a document whose parts ended so; nil where there is none.
	Acknowledge func(*Context, []Outcome) (*Output, error)
}

// Outcome is how one part of a document ended.
type Outcome struct {
	Part        Part         `json:"part"`
	Accepted    bool         `json:"accepted"`
	Diagnostics []Diagnostic `json:"diagnostics"`
	More        []Pair       `json:"more"` // the part's own first segment as "header", its group's last as "group-trailer"
}

// Part is one unit that the gateway framed out of a larger document.
type Part struct {
	Index    uint32 `json:"index"`
	Unit     string `json:"unit"` // "transaction-set", or "document" where there is nothing to take apart
	Offset   uint64 `json:"offset"`
	Envelope string `json:"envelope"` // the segments that enclose it
}

// Run answers the gateway: the direction and the context are arguments, the document or the events are on the standard
// input, what is answered goes to the standard output, diagnostics go to the standard error.
func Run(mapper Mapper) {
	// The program lives for one message, so memory is looked through only where it would run out.
	debug.SetGCPercent(-1)
	debug.SetMemoryLimit(40 << 20)
	if err := mapper.answer(os.Args, os.Stdin, os.Stdout, os.Stderr); err != nil {
		refusal := Refusal{}
		if !errors.As(err, &refusal) {
			// The mapper's own failure, not the sender's: a line of the log, and an end without a diagnostic.
			fmt.Fprintln(os.Stderr, "error:", err)
		}
		for _, each := range refusal {
			json.NewEncoder(os.Stderr).Encode(each)
		}
		os.Exit(1)
	}
}

func (m Mapper) answer(arguments []string, in io.Reader, out, said io.Writer) error {
	if len(arguments) < 3 {
		return errors.New("a direction and a context are needed as arguments")
	}
	var context Context
	if err := json.Unmarshal([]byte(arguments[2]), &context); err != nil {
		return err
	}
	content, err := io.ReadAll(in)
	if err != nil {
		return err
	}
	switch {
	case arguments[1] == "to-canonical" && m.ToCanonical != nil:
		mapped, err := m.ToCanonical(&context, &Document{context.MediaType, content, context.Parameters})
		if err != nil {
			return err
		}
		if mapped.Events == nil {
			mapped.Events = []*Event{}
		}
		answer, err := writeJSON(mapped)
		if err != nil {
			return err
		}
		_, err = out.Write(answer)
		return err
	case arguments[1] == "from-canonical" && m.FromCanonical != nil:
		var events []Recorded
		if err := json.Unmarshal(content, &events); err != nil {
			return err
		}
		output, err := m.FromCanonical(&context, events)
		if err != nil {
			return err
		}
		return output.write(out, said)
	case arguments[1] == "acknowledge" && m.Acknowledge != nil:
		var outcomes []Outcome
		if err := json.Unmarshal(content, &outcomes); err != nil {
			return err
		}
		output, err := m.Acknowledge(&context, outcomes)
		if err != nil || output == nil {
			return err
		}
		return output.write(out, said)
	}
	return Refuse("unsupported", "this mapper does not map "+arguments[1], nil)
}

func (o Output) write(out, said io.Writer) error {
	about := map[string]any{"media_type": o.MediaType, "parameters": append([]Pair{}, o.Parameters...)}
	if err := json.NewEncoder(said).Encode(map[string]any{"document": about}); err != nil {
		return err
	}
	_, err := out.Write(o.Content)
	return err
}

func readJSON(content []byte, into any) error {
	if !utf8.Valid(content) {
		at := 0
		for at < len(content) {
			character, length := utf8.DecodeRune(content[at:])
			if character == utf8.RuneError && length < 2 {
				break
			}
			at += length
		}
		return Refuse("not-utf8", "the document is not UTF-8", AtBytes(at, 1))
	}
	err := json.Unmarshal(content, into)
	var wrong *json.SyntaxError
	var other *json.UnmarshalTypeError
	switch {
	case errors.As(err, &wrong):
		offset := min(max(int(wrong.Offset)-1, 0), len(content))
		return Refuse("not-understood", err.Error(), AtBytes(offset, min(1, len(content)-offset)))
	case errors.As(err, &other):
		pointer := ""
		if other.Field != "" {
			pointer = "/" + strings.ReplaceAll(other.Field, ".", "/")
		}
		return Refuse("not-understood", err.Error(), At(pointer))
	case err != nil:
		return Refuse("not-understood", err.Error(), nil)
	}
	return nil
}

func writeJSON(value any) ([]byte, error) {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(value)
	return bytes.TrimSuffix(out.Bytes(), []byte("\n")), err
}

// Parts of the canonical model.

// Identifier is a number of a scheme; a wrong check digit is kept and flagged.
type Identifier struct {
	Scheme string `json:"scheme"`
	Value  string `json:"value"`
	Check  string `json:"check,omitempty"`
}

// GTIN is a trade item's number.
func GTIN(value string) Identifier {
	check := "invalid"
	if CheckGS1(value) {
		check = "valid"
	}
	return Identifier{"gtin", value, check}
}

// CheckGS1 says whether the digits end in the check digit that GS1 (GTIN, GLN, SSCC) asks for.
func CheckGS1(digits string) bool {
	if len(digits) < 2 || len(digits) > 64 {
		return false
	}
	sum := 0
	for i := range digits {
		digit := digits[len(digits)-1-i]
		if digit < '0' || digit > '9' {
			return false
		}
		sum += int(digit-'0') * (1 + 2*(i%2))
	}
	return sum%10 == 0
}

// Quantity is a decimal as text, and its unit where the document names one.
type Quantity struct {
	Value string `json:"value"`
	Unit  string `json:"unit,omitempty"`
}

// Time is a moment, or a local time.
type Time struct {
	At         string `json:"at,omitempty"`
	Local      string `json:"local,omitempty"`
	Zone       string `json:"zone,omitempty"`
	Basis      string `json:"basis"`
	Classifier string `json:"classifier"`
}

// Actual is a time of the document that was, in the form of RFC 3339: a moment where it states its offset, else local,
// in the partner's zone if the policy knows it; a day where it says no more. What is none of these is refused
// (not-a-time, at the place).
func Actual(text, zone string, at *Location) (Time, error) {
	switch {
	case !isTime(text):
		return Time{}, Refuse("not-a-time", "a time is needed, as in 2026-11-20T14:05:00+01:00", at)
	case len(text) > 10 && strings.ContainsAny(text[11:], "Z+-"):
		return Time{At: text, Basis: "offset", Classifier: "actual"}, nil
	}
	return Time{Local: text, Zone: zone, Basis: "local", Classifier: "actual"}, nil
}

func isTime(text string) bool {
	year, day, ok := number(text, 4, 9999)
	month, day, ok2 := marked(day, "-", 12)
	date, clock, ok3 := marked(day, "-", 31)
	if !ok || !ok2 || !ok3 || date < 1 || month < 1 || date > days(year, month) {
		return false
	}
	if clock == "" {
		return true
	}
	_, clock, ok = marked(clock, "T", 23)
	_, clock, ok2 = marked(clock, ":", 59)
	_, clock, ok3 = marked(clock, ":", 59)
	if !ok || !ok2 || !ok3 {
		return false
	}
	if fraction, found := strings.CutPrefix(clock, "."); found {
		clock = strings.TrimLeft(fraction, "0123456789")
		if digits := len(fraction) - len(clock); digits < 1 || digits > 9 {
			return false
		}
	}
	if clock == "" || clock == "Z" {
		return true
	}
	if clock[0] != '+' && clock[0] != '-' {
		return false
	}
	_, clock, ok = number(clock[1:], 2, 23)
	_, clock, ok2 = marked(clock, ":", 59)
	return ok && ok2 && clock == ""
}

// marked is a mark and a number of two digits, and what follows.
func marked(text, mark string, most int) (int, string, bool) {
	rest, found := strings.CutPrefix(text, mark)
	if !found {
		return 0, "", false
	}
	return number(rest, 2, most)
}

func number(text string, digits, most int) (int, string, bool) {
	if len(text) < digits {
		return 0, "", false
	}
	value := 0
	for _, digit := range []byte(text[:digits]) {
		if digit < '0' || digit > '9' {
			return 0, "", false
		}
		value = value*10 + int(digit-'0')
	}
	return value, text[digits:], value <= most
}

func days(year, month int) int {
	switch month {
	case 4, 6, 9, 11:
		return 30
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	}
	return 31
}

// text is the time as an event's occurred_at wants it: a local one with its zone in brackets (RFC 9557).
func (t Time) text() string {
	switch {
	case t.At != "":
		return t.At
	case t.Zone != "" && strings.Contains(t.Local, "T"):
		return t.Local + "[" + t.Zone + "]"
	}
	return t.Local
}
