package kafkaface

import (
	"fmt"
	"os"
	"regexp"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// README.md shows the table of versions that clients are given.
func TestReadmeShowsTheVersions(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	shown := map[string]string{}
	for _, m := range regexp.MustCompile(`(?m)^\| (\d+) \| (\w+) \| (\d+-\d+) \|`).FindAllStringSubmatch(string(text), -1) {
		shown[m[1]] = m[3]
	}
	for _, a := range apis() {
		key := fmt.Sprint(int16(a.key))
		if want := fmt.Sprintf("%d-%d", a.min, a.max); shown[key] != want {
			t.Errorf("%s (%s): README.md shows versions %q, want %s", kmsg.NameForKey(int16(a.key)), key, shown[key], want)
		}
		delete(shown, key)
	}
	if len(shown) > 0 {
		t.Errorf("README.md shows %v, which is not offered", shown)
	}
}
