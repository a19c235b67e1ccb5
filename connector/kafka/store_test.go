package kafka_test

import (
	"context"
	"testing"

	"millrace/connector"
	"millrace/connector/connectortest"
	"millrace/connector/kafka"
	"millrace/connector/kafka/local"
	"millrace/internal/testservice"
)

func storeFactory(addr string) connectortest.StoreFactory {
	return func(t testing.TB) func(testing.TB) connector.Store {
		env := testEnv(t)
		open := func(t testing.TB) connector.Store {
			c := kafka.NewStoreConfig()
			c.SetAddress(addr)
			if errs := c.Validate(); len(errs) > 0 {
				t.Fatal(errs)
			}
			st, err := c.Open(context.Background(), env)
			if err != nil {
				t.Fatal(err)
			}
			return st
		}
		t.Cleanup(func() {
			st := open(t)
			if err := st.Drop(context.Background()); err != nil {
				t.Errorf("Drop: %v", err)
			}
			_ = st.Close()
		})
		return open
	}
}

func TestStore(t *testing.T) {
	t.Run("local", func(t *testing.T) {
		s := startLocal(t, local.Options{})
		connectortest.RunStore(t, connectortest.StoreFeatures{DecidesByPartition: true}, storeFactory(s.Address()))
	})
	t.Run("apache", func(t *testing.T) {
		k := testservice.Kafka(t)
		connectortest.RunStore(t, connectortest.StoreFeatures{DecidesByPartition: true}, storeFactory(k.Brokers))
	})
}
