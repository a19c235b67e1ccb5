package local

import "strconv"

// appendInt appends n as JSON.
func appendInt[N int | int64](dst []byte, n N) []byte { return strconv.AppendInt(dst, int64(n), 10) }
