package metrics

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"millrace/connector"
)

// series maps one field of a sample to a Prometheus series.
type series struct {
	name, help string
	kind       prometheus.ValueType
	value      func(*Sample) float64
}

const (
	counter = prometheus.CounterValue
	gauge   = prometheus.GaugeValue
)

var allSeries = []series{
	{"simulate_offered_events_total", "Unique events due by the schedule.", counter, func(s *Sample) float64 { return float64(s.Offered) }},
	{"simulate_sent_messages_total", "Messages handed to the log's client, duplicates and malformed ones included.", counter, func(s *Sample) float64 { return float64(s.Sent) }},
	{"simulate_acknowledged_messages_total", "Messages acknowledged by the log.", counter, func(s *Sample) float64 { return float64(s.Acked) }},
	{"simulate_sent_bytes_total", "Payload bytes handed to the log's client.", counter, func(s *Sample) float64 { return float64(s.SentBytes) }},
	{"simulate_injected_duplicates_total", "Events sent again on purpose.", counter, func(s *Sample) float64 { return float64(s.InjectedDuplicates) }},
	{"simulate_malformed_total", "Malformed payloads sent on purpose.", counter, func(s *Sample) float64 { return float64(s.Malformed) }},
	{"simulate_schedule_lag_seconds", "How far the simulator is behind its schedule.", gauge, func(s *Sample) float64 { return s.Lag.Seconds() }},
	{"simulate_send_errors_total", "Messages that the log refused for good.", counter, func(s *Sample) float64 { return float64(s.SendErrors) }},
	{"ingest_backlog_messages", "Log entries not yet stored; -1 if unknown.", gauge, func(s *Sample) float64 { return float64(s.Backlog) }},
	{"ingest_log_messages", "Entries in the log over all partitions.", gauge, func(s *Sample) float64 { return float64(s.LogEntries) }},
	{"ingest_throttled_total", "Log requests refused for their rate.", counter, func(s *Sample) float64 { return float64(s.Throttled - s.StoreThrottled) }},
	{"ingest_group_sessions_total", "Consumer group sessions begun.", counter, func(s *Sample) float64 { return float64(s.Sessions) }},
	{"ingest_group_sessions_fenced_total", "Consumer group sessions that ended because another worker took over.", counter, func(s *Sample) float64 { return float64(s.Fenced) }},
	{"process_input_messages_total", "Log entries processed.", counter, func(s *Sample) float64 { return float64(s.Processed) }},
	{"process_input_bytes_total", "Payload bytes processed.", counter, func(s *Sample) float64 { return float64(s.ProcessedBytes) }},
	{"process_duplicates_total", "Events dropped as already processed.", counter, func(s *Sample) float64 { return float64(s.Duplicates) }},
	{"process_dead_letters_total", "Inputs that could not be used.", counter, func(s *Sample) float64 { return float64(s.DeadLettered) }},
	{"process_replayed_messages_total", "Log entries reread to rebuild state.", counter, func(s *Sample) float64 { return float64(s.Replayed) }},
	{"serve_stored_rows_total", "Rows new in the store.", counter, func(s *Sample) float64 { return float64(s.Stored) }},
	{"serve_duplicate_rows_total", "Results that the store had already.", counter, func(s *Sample) float64 { return float64(s.StoreDuplicates) }},
	{"serve_written_bytes_total", "Bytes sent to the store.", counter, func(s *Sample) float64 { return float64(s.StoredBytes) }},
	{"serve_writes_total", "Successful writes.", counter, func(s *Sample) float64 { return float64(s.Writes) }},
	{"serve_retries_total", "Store calls repeated.", counter, func(s *Sample) float64 { return float64(s.Retries) }},
	{"serve_throttled_total", "Store requests refused for their rate.", counter, func(s *Sample) float64 { return float64(s.StoreThrottled) }},
	{"serve_request_units_total", "Request charge.", counter, func(s *Sample) float64 { return s.Charge }},
	{"serve_outage", "1 while the store does not answer.", gauge, func(s *Sample) float64 {
		if s.Outage != "" {
			return 1
		}
		return 0
	}},
	{"verify_rows_total", "Rows read back by verify.", counter, func(s *Sample) float64 { return float64(s.Verified) }},
}

// collector serves the newest sample.
type collector struct {
	last  func() Sample
	descs []*prometheus.Desc
}

func newCollector(last func() Sample, labels prometheus.Labels) *collector {
	c := &collector{last: last}
	for _, m := range allSeries {
		c.descs = append(c.descs, prometheus.NewDesc("millrace_"+m.name, m.help, nil, labels))
	}
	return c
}

func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range c.descs {
		ch <- d
	}
}

func (c *collector) Collect(ch chan<- prometheus.Metric) {
	s := c.last()
	for i, m := range allSeries {
		ch <- prometheus.MustNewConstMetric(c.descs[i], m.kind, m.value(&s))
	}
}

// Server is the Prometheus endpoint of a run.
type Server struct {
	http *http.Server
	addr string
}

// Serve answers GET /metrics on addr (host:port, port 0 for any) with the
// newest sample, every series labelled with the solution and the run. If the
// address is one of loopback it also serves the Go profiles below
// /debug/pprof/, which others must not see: they show the command line and the
// inside of the program, and taking one costs CPU time.
func Serve(addr, solution, run string, last func() Sample) (*Server, error) {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, &connector.Unreachable{What: "the metrics address " + addr, Err: err,
			Hint: "another program may use the port; choose another --metrics-addr"}
	}
	reg := prometheus.NewRegistry()
	reg.MustRegister(newCollector(last, prometheus.Labels{"solution": solution, "run": run}),
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(reg, promhttp.HandlerOpts{}))
	if tcp, ok := ln.Addr().(*net.TCPAddr); ok && tcp.IP.IsLoopback() {
		mux.HandleFunc("GET /debug/pprof/", pprof.Index)
		mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	}
	s := &Server{addr: ln.Addr().String(), http: &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}}
	go func() { _ = s.http.Serve(ln) }() // returns when Close is called
	return s, nil
}

// Addr is the address that is listened on.
func (s *Server) Addr() string { return s.addr }

// Close stops the endpoint, letting a scrape under way finish.
func (s *Server) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	if err := s.http.Shutdown(ctx); err != nil {
		return errors.Join(fmt.Errorf("stopping the metrics endpoint: %w", err), s.http.Close())
	}
	return nil
}
