package kafkaface

import (
	"context"
	"time"
)

// StartImpatient is Start with other times to wait for clients.
func StartImpatient(ctx context.Context, o Options, signIn, idle, write time.Duration) (*Server, error) {
	return start(ctx, o, patience{signIn: signIn, idle: idle, frame: idle, write: write})
}

// Open returns how many connections there are.
func Open(s *Server) int { return s.open() }
