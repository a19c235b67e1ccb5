package local

import (
	"errors"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
)

// SetMinFree changes the free space that s demands.
func SetMinFree(s *Server, n int64) {
	s.disk.mu.Lock()
	defer s.disk.mu.Unlock()
	s.disk.min, s.disk.looked = n, time.Time{}
}

// LogFailedWrite does as if the broker had logged a failed write.
func LogFailedWrite(s *Server) {
	brokerLog{s.disk}.Logf(kfake.LogLevelWarn, "persist batch %s-%d: %v", "t", 0, errors.New("no space left on device"))
}
