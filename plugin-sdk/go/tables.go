//go:build wasip1

package crossdock

import (
	"encoding/json"
	"unsafe"
)

//go:wasmimport crossdock lookup
func lookup(table unsafe.Pointer, tableLength uint32, key unsafe.Pointer, keyLength uint32, out unsafe.Pointer, room uint32) int32

// Lookup is the row of a table that the operation grants, by column; nil where there is none.
func Lookup(table string, key ...string) map[string]string {
	if table == "" || len(key) == 0 {
		return nil
	}
	name := []byte(table)
	parts, err := json.Marshal(key)
	if err != nil {
		return nil
	}
	out := make([]byte, 1024)
	for {
		length := lookup(unsafe.Pointer(&name[0]), uint32(len(name)), unsafe.Pointer(&parts[0]), uint32(len(parts)),
			unsafe.Pointer(&out[0]), uint32(len(out)))
		switch {
		case length < 0:
			return nil
		case int(length) > len(out):
			out = make([]byte, length)
		default:
			var row map[string]string
			if json.Unmarshal(out[:length], &row) != nil {
				return nil
			}
			return row
		}
	}
}
