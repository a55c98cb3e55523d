package shared

import (
	"log/slog"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

// waiting bounds the messages that are not worked on yet. What is dropped comes
// again: members exchange all they have every minute.
const waiting = 64

// Options of a Set. Name, Records and Take are required.
type Options struct {
	// Name of the kind of things, for logs.
	Name string
	// Records returns all that there is to tell.
	Records func() ([]Record, error)
	// Take works on what others tell, newer or not.
	Take       func([]Record)
	Logger     *slog.Logger
	Registerer prometheus.Registerer
}

// Set is one kind of shared things. It is what Alertmanager's gossip asks of a
// state. Safe for concurrent use. Close ends it.
type Set struct {
	o       Options
	came    chan []Record
	stop    chan struct{}
	once    sync.Once
	wg      sync.WaitGroup
	dropped prometheus.Counter

	mu   sync.Mutex
	send func([]byte) // guarded by mu; nil before Sends
}

// New makes a set. What is told before Start waits.
func New(o Options) *Set {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Set{o: o, came: make(chan []Record, waiting), stop: make(chan struct{}),
		dropped: prometheus.NewCounter(prometheus.CounterOpts{Name: "braid_alert_shared_dropped_total",
			Help: "Messages of other alerters, and things to tell them, that were dropped; they are told again.", ConstLabels: prometheus.Labels{"kind": o.Name}})}
	if o.Registerer != nil {
		o.Registerer.MustRegister(s.dropped)
	}
	return s
}

// Start begins to take.
func (s *Set) Start() {
	s.wg.Add(1)
	go func() {
		defer s.wg.Done()
		for {
			select {
			case <-s.stop:
				return
			case records := <-s.came:
				s.o.Take(records)
			}
		}
	}()
}

// Sends says how to tell the others at once.
func (s *Set) Sends(send func([]byte)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.send = send
}

// Tell tells the others of changes.
func (s *Set) Tell(records []Record) {
	s.mu.Lock()
	send := s.send
	s.mu.Unlock()
	if len(records) == 0 || send == nil {
		return
	}
	b, left, err := encode(records)
	if err != nil || left > 0 {
		s.o.Logger.Error("cannot tell other alerters of all changes", "kind", s.o.Name, "left_out", left, "err", err)
		s.dropped.Add(float64(left))
	}
	if err == nil {
		send(b)
	}
}

// MarshalBinary returns all that there is to tell. What cannot be read is left
// out: an error would keep the gossip from telling anything of other kinds.
func (s *Set) MarshalBinary() ([]byte, error) {
	records, err := s.o.Records()
	if err != nil {
		s.o.Logger.Error("cannot read all that other alerters are to be told", "kind", s.o.Name, "err", err)
	}
	b, left, err := encode(records)
	if left > 0 {
		s.o.Logger.Warn("too much to tell other alerters at once: the oldest is left out", "kind", s.o.Name, "left_out", left)
		s.dropped.Add(float64(left))
	}
	return b, err
}

// Merge takes what another alerter tells.
func (s *Set) Merge(b []byte) error {
	records, err := decode(b)
	if err != nil {
		return err
	}
	select {
	case s.came <- records:
	default:
		s.dropped.Inc()
	}
	return nil
}

// Close ends taking; what is merged after that is lost.
func (s *Set) Close() {
	s.once.Do(func() { close(s.stop) })
	s.wg.Wait()
}
