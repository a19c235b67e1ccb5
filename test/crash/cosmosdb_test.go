package crash

import (
	"bufio"
	"context"
	"encoding/json"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	cosmosdb "millrace/connector/cosmosdb/local"
	"millrace/internal/testservice"
)

// intoCosmosDB serves from a Cosmos DB that the workers' deaths do not touch.
func (s *scene) intoCosmosDB() *scene {
	store, err := cosmosdb.Start(s.t.Context(), cosmosdb.Options{DataDir: filepath.Join(filepath.Dir(s.dir), "cosmosdb")})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { store.Close() })
	s.env = append(s.env, "COSMOSDB_CONNECTION_STRING="+store.Address())
	return s
}

// fewer takes a part of the kills: these scenes are about the joint of log and
// store, and the others have killed often enough.
func (s *scene) fewer(part int) *scene {
	s.kills /= part
	return s
}

// TestTwoWorkersIntoCosmosDB: what a worker had stored and not yet committed is
// read and upserted again by the next one, and still served once.
func TestTwoWorkersIntoCosmosDB(t *testing.T) {
	t.Parallel()
	for name, scene := range map[string]func(t *testing.T) *scene{
		"akskafka":  func(t *testing.T) *scene { return newScene(t, "akskafka-databricks-cosmosdb").overKafka() },
		"eventhubs": func(t *testing.T) *scene { return newScene(t, "eventhubs-databricks-cosmosdb").overEventHubs() },
		"eventhubskafka": func(t *testing.T) *scene {
			return newScene(t, "eventhubskafka-databricks-cosmosdb").overKafkaEndpoint()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			exact(t, scene(t).intoCosmosDB().fewer(4).run(2, "500", "20000"))
		})
	}
}

// service is a stand-in in a process of its own that is killed and started
// again on the same port and data.
type service struct {
	s    *scene
	args []string
	cmd  *exec.Cmd
	said *strings.Builder
}

// start waits until it answers, and returns its connection string.
func (v *service) start() (address string) {
	t := v.s.t
	v.said = &strings.Builder{}
	v.cmd = exec.CommandContext(context.Background(), v.s.bin, v.args...)
	v.cmd.Env, v.cmd.Stderr = v.s.env, v.said
	out, err := v.cmd.StdoutPipe()
	if err == nil {
		err = v.cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadBytes('\n')
	var said struct {
		Address string `json:"address"`
	}
	if err == nil {
		err = json.Unmarshal(line, &said)
	}
	if err != nil {
		_ = v.cmd.Process.Kill()
		_ = v.cmd.Wait()
		t.Fatalf("the service did not start: %v\n%s", err, v.said)
	}
	return said.Address
}

func (v *service) kill() {
	_ = v.cmd.Process.Kill()
	_ = v.cmd.Wait()
	if v.cmd.ProcessState.Exited() {
		v.s.t.Errorf("the service ended by itself\n%s", v.said)
	}
}

// TestCosmosDBKilled: the store itself is killed at random, again and again,
// and has every write that it acknowledged: the worker commits positions only
// after that, so that a write which was lost would be missing at the end. A
// request that was cut off may be there in part, and no event of a device is
// stored before an earlier one.
func TestCosmosDBKilled(t *testing.T) {
	t.Parallel()
	t.Run("batches", func(t *testing.T) {
		t.Parallel()
		newScene(t, "akskafka-databricks-cosmosdb").overKafka().storeKilled("60000")
	})
	t.Run("bulk", func(t *testing.T) {
		t.Parallel()
		s := newScene(t, "akskafka-databricks-cosmosdb").overKafka().fewer(2)
		s.args = append(s.args, "--set", "serve.bulk=true")
		s.storeKilled("30000")
	})
}

// storeKilled processes so many events, one thousand a second, while their Cosmos
// DB is killed.
func (s *scene) storeKilled(events string) {
	t := s.t
	store := &service{s: s, args: []string{"local", "cosmosdb", "--json", "--port", strconv.Itoa(testservice.Port(t)),
		"--data-dir", filepath.Join(filepath.Dir(s.dir), "cosmosdb")}}
	s.env = append(s.env, "COSMOSDB_CONNECTION_STRING="+store.start())
	defer func() { _ = store.cmd.Process.Kill(); _ = store.cmd.Wait() }()
	simulator := s.command(t.Context(), "simulate", "--rate", "1000", "--events", events, "--malformed", "0.001", "--json")
	simOut := &strings.Builder{}
	simulator.Stderr = simOut
	if err := simulator.Start(); err != nil {
		t.Fatal(err)
	}
	w := s.start()
	w.begun(t) // one that cannot reach its store to begin with gives up
	for i := range s.kills {
		time.Sleep(time.Duration(s.rng.IntN(1500)) * time.Millisecond)
		store.kill()
		if i%10 == 9 {
			t.Logf("the store was killed %d times", i+1)
		}
		store.start()
	}
	if err := simulator.Wait(); err != nil {
		t.Fatalf("simulate: %v\n%s", err, simOut)
	}
	w.stop(t)
	if out, err := s.command(t.Context(), "process", "--drain").CombinedOutput(); err != nil {
		t.Fatalf("draining: %v\n%s", err, out)
	}
	exact(t, s.verify())
}
