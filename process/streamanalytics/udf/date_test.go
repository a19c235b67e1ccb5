package udf

import (
	"testing"
	"time"
)

// Every local accessor is UTC, whatever the zone of the machine.
func TestLocalTimeIsUTC(t *testing.T) {
	t.Parallel()
	for expression, want := range map[string]string{
		`new Date(2020, 0, 2, 3, 4, 5, 6).toISOString()`:                "2020-01-02T03:04:05.006Z",
		`new Date(2020, 0).toISOString()`:                               "2020-01-01T00:00:00.000Z",
		`new Date(99, 0).getFullYear()`:                                 "1999",
		`new Date("2020-01-02").toISOString()`:                          "2020-01-02T00:00:00.000Z",
		`new Date("2020-01-02T03:04:05").toISOString()`:                 "2020-01-02T03:04:05.000Z",
		`new Date("2020-07-02T03:04:05").toISOString()`:                 "2020-07-02T03:04:05.000Z",
		`new Date("2020-01-02T03:04:05Z").toISOString()`:                "2020-01-02T03:04:05.000Z",
		`new Date("2020-01-02T03:04:05+02:00").toISOString()`:           "2020-01-02T01:04:05.000Z",
		`new Date(Date.parse("2020-01-02T03:04")).getHours()`:           "3",
		`new Date(new Date(5)).getTime()`:                               "5",
		`new Date(null).getTime()`:                                      "0",
		`new Date(undefined).getTime()`:                                 "NaN",
		`new Date({valueOf: function () { return 7; }}) - 0`:            "7",
		`new Date(0).toString()`:                                        "Thu Jan 01 1970 00:00:00 GMT+0000 (UTC)",
		`String(new Date(NaN))`:                                         "Invalid Date",
		`new Date(0).toDateString() + "|" + new Date(0).toTimeString()`: "Thu Jan 01 1970|00:00:00 GMT+0000 (UTC)",
		`new Date(13 * 3600e3).toLocaleString()`:                        "1/1/1970, 1:00:00 PM",
		`new Date(0).toLocaleTimeString()`:                              "12:00:00 AM",
		`new Date(0).toLocaleDateString()`:                              "1/1/1970",
		`new Date(0).getTimezoneOffset()`:                               "0",
		`(function () { var d = new Date(0); d.setHours(5, 6); d.setMonth(1); return d.toISOString(); })()`:                    "1970-02-01T05:06:00.000Z",
		`[0].map(function () { var d = new Date(0); return [d.getDay(), d.getDate(), d.getMonth(), d.getMinutes()]; }).join()`: "4,1,0,0",
		`new Date(0) instanceof Date && new Date(0).constructor === Date`:                                                      "true",
		`typeof Date() + Date.length + Date.name`:                                                                              "string7Date",
		`(class extends Date { twice() { return 2 * this.getTime(); } }).prototype.twice.call(new Date(4))`:                    "8",
		`Date.UTC(1970, 0, 2)`:        "86400000",
		`JSON.stringify(new Date(0))`: `"1970-01-01T00:00:00.000Z"`,
		`new Date(0) + 1`:             "Thu Jan 01 1970 00:00:00 GMT+0000 (UTC)1",
	} {
		got, err := eval(t, "String("+expression+")")
		if err != nil {
			t.Errorf("%s: %v", expression, err)
		} else if got.Str() != want {
			t.Errorf("%s = %s, want %s", expression, got.Str(), want)
		}
	}
}

func TestLocalClockIsTakenForUTC(t *testing.T) {
	t.Parallel()
	ms := time.Date(2020, 7, 1, 12, 0, 0, 0, time.Local).UnixMilli()
	if got, want := localAsUTC(ms), time.Date(2020, 7, 1, 12, 0, 0, 0, time.UTC).UnixMilli(); got != want {
		t.Errorf("got %d, want %d", got, want)
	}
}
