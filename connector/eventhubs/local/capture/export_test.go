package capture

import "sync"

// HoldLooks keeps the service from looking at the hubs until release is called,
// which may be done twice.
func (s *Service) HoldLooks() (release func()) {
	s.mu.Lock()
	return sync.OnceFunc(s.mu.Unlock)
}
