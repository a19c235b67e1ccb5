package kafka

import (
	"context"
	"net"
)

// SetDial replaces the network of a configuration.
func SetDial(c *Config, dial func(ctx context.Context, network, addr string) (net.Conn, error)) {
	c.dial = dial
}
