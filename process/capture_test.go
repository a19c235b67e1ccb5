package process

import (
	"strings"
	"testing"
	"time"

	"millrace/connector"
)

func TestCaptureConfig(t *testing.T) {
	t.Parallel()
	if errs := NewCaptureConfig().Validate(); len(errs) > 0 {
		t.Fatalf("the defaults: %v", errs)
	}
	for _, tt := range []struct {
		change func(*CaptureConfig)
		want   string
	}{
		{func(c *CaptureConfig) { c.Interval = connector.Duration(999 * time.Millisecond) }, "interval: "},
		{func(c *CaptureConfig) { c.Interval = connector.Duration(16 * time.Minute) }, "interval: "},
		{func(c *CaptureConfig) { c.SizeLimit = 1000 }, "sizeLimit: "},
		{func(c *CaptureConfig) { c.SizeLimit = 501 << 20 }, "sizeLimit: "},
		{func(c *CaptureConfig) {
			c.NameFormat = "{Namespace}/{EventHub}/{Year}{Month}{Day}{Hour}{Minute}{Second}"
		}, "nameFormat: {PartitionId} is missing"},
		{func(c *CaptureConfig) { c.NameFormat = strings.ToLower(CaptureNameFormat) }, "nameFormat: {Namespace}, {EventHub}"},
		{func(c *CaptureConfig) { c.Codec = "snappy" }, "codec: "},
	} {
		c := NewCaptureConfig()
		tt.change(c)
		if errs := c.Validate(); len(errs) != 1 || !strings.HasPrefix(errs[0].Error(), tt.want) {
			t.Errorf("%+v: %v, want %s", c, errs, tt.want)
		}
	}
	c := NewCaptureConfig()
	if c.AvroCodec() != "null" {
		t.Errorf("the default codec is %q", c.AvroCodec())
	}
	if c.Codec = "deflate"; c.AvroCodec() != "deflate" {
		t.Errorf("deflate is %q", c.AvroCodec())
	}
}
