package main

import (
	"fmt"
	"strings"

	"{{name}}/crossdock"
)

func main() {
	crossdock.Run(crossdock.Mapper{ToCanonical: toCanonical, Acknowledge: acknowledge})
}

func toCanonical(*crossdock.Context, *crossdock.Document) (crossdock.Mapped, error) {
	return crossdock.Mapped{}, crossdock.Refuse("no-good", "it is no good", nil)
}

func acknowledge(context *crossdock.Context, outcomes []crossdock.Outcome) (*crossdock.Output, error) {
	lines := context.Receiver + "\n"
	for _, ended := range outcomes {
		codes := []string{}
		for _, found := range ended.Diagnostics {
			codes = append(codes, found.Code)
		}
		part := ended.Part
		lines += fmt.Sprintln(part.Unit, len(part.Envelope), ended.Accepted, ended.More[0][1], strings.Join(codes, ","))
	}
	return &crossdock.Output{MediaType: "text/plain", Content: []byte(lines)}, nil
}
