package queue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// session is one coordinator's queue: a stream of trials with one consumer
// that all workers share, a bucket of claims, and, where workers are elsewhere,
// a bucket of objects. Its names are never used twice, so that what a worker
// of an earlier session still sends meets nothing.
type session struct {
	desc     Description
	names    names
	nc       *nats.Conn
	js       jetstream.JetStream
	claims   jetstream.KeyValue
	objects  jetstream.ObjectStore // nil: in one process, files need not travel
	stream   jetstream.Stream
	consumer jetstream.Consumer
}

// most deliveries of a trial, given back ones included, before it counts as a
// dead letter.
func (d *Description) mostDeliveries() int { return 10*d.Tries + 100 }

// createSession makes a session's stream and buckets.
func createSession(ctx context.Context, nc *nats.Conn, d Description, objects bool) (*session, error) {
	s := &session{desc: d, names: names(d.Session), nc: nc}
	var err error
	if s.js, err = jetstream.New(nc); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	replicas := replicasAt(nc)
	steps := []func(ctx context.Context) error{
		func(ctx context.Context) (err error) {
			s.stream, err = s.js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{
				Name: s.names.stream(), Subjects: []string{s.names.trials()}, Description: "trials of an effnet search",
				Retention: jetstream.WorkQueuePolicy, Storage: jetstream.FileStorage, Replicas: replicas,
				// One message a trial, whatever a publisher repeats.
				Discard: jetstream.DiscardNew, DiscardNewPerSubject: true, MaxMsgsPerSubject: 1,
			})
			return err
		},
		func(ctx context.Context) (err error) {
			s.consumer, err = s.stream.CreateOrUpdateConsumer(ctx, jetstream.ConsumerConfig{
				Durable: consumerName, AckPolicy: jetstream.AckExplicitPolicy, AckWait: d.AckWait,
				MaxDeliver: d.mostDeliveries(), MaxAckPending: 100000, MaxWaiting: 10000,
			})
			return err
		},
		func(ctx context.Context) (err error) {
			s.claims, err = s.js.CreateOrUpdateKeyValue(ctx, jetstream.KeyValueConfig{Bucket: s.names.claims(), Description: "claims of an effnet search", History: 1, Replicas: replicas})
			return err
		},
		func(ctx context.Context) (err error) {
			if objects {
				s.objects, err = s.js.CreateOrUpdateObjectStore(ctx, jetstream.ObjectStoreConfig{Bucket: s.names.objects(), Description: "files of an effnet search", Replicas: replicas})
			}
			return err
		},
	}
	for _, step := range steps {
		if err := retry(ctx, step); err != nil {
			return nil, fmt.Errorf("queue: making the queue with %d replica(s): %w", replicas, err)
		}
	}
	return s, nil
}

// joinSession finds the session that a search's entry in the registry names.
func joinSession(ctx context.Context, nc *nats.Conn, d Description) (*session, error) {
	s := &session{desc: d, names: names(d.Session), nc: nc}
	var err error
	if s.js, err = jetstream.New(nc); err != nil {
		return nil, err
	}
	err = retry(ctx, func(ctx context.Context) (err error) {
		if s.stream, err = s.js.Stream(ctx, s.names.stream()); err != nil {
			return err
		}
		if s.consumer, err = s.stream.Consumer(ctx, consumerName); err != nil {
			return err
		}
		if s.claims, err = s.js.KeyValue(ctx, s.names.claims()); err != nil {
			return err
		}
		s.objects, err = s.js.ObjectStore(ctx, s.names.objects())
		return err
	})
	return s, err
}

// dropSession removes a session's stream and buckets, as far as they are there.
func dropSession(ctx context.Context, js jetstream.JetStream, name string) error {
	n := names(name)
	var errs []error
	for _, drop := range []func(context.Context) error{
		func(ctx context.Context) error { return js.DeleteStream(ctx, n.stream()) },
		func(ctx context.Context) error { return js.DeleteKeyValue(ctx, n.claims()) },
		func(ctx context.Context) error { return js.DeleteObjectStore(ctx, n.objects()) },
	} {
		if err := retry(ctx, drop); err != nil && !gone(err) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// tell publishes an event; it may get lost.
func (s *session) tell(e event) {
	if data, err := json.Marshal(e); err == nil {
		s.nc.Publish(s.names.event(), data)
	}
}

// claim reads a trial's key: its value and revision. The zero claim with
// revision 0 stands for a key that is not there; one that holds something else
// gives errGarbled and its revision.
func (s *session) claim(ctx context.Context, key string) (claim, uint64, error) {
	var c claim
	var rev uint64
	err := retry(ctx, func(ctx context.Context) error {
		e, err := s.claims.Get(ctx, key)
		if err == nil {
			c, rev, err = decodeClaim(key, e)
		}
		return err
	})
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return claim{}, 0, nil
	}
	return c, rev, err
}

func decodeClaim(key string, e jetstream.KeyValueEntry) (claim, uint64, error) {
	var c claim
	if err := json.Unmarshal(e.Value(), &c); err != nil {
		return c, e.Revision(), fmt.Errorf("queue: the claim of %s: %w: %w", key, errGarbled, err)
	}
	return c, e.Revision(), nil
}

var (
	// errGarbled: what the store returned is not what was written.
	errGarbled = errors.New("it cannot be read")
	// errSuperseded: the key has another revision than the writer believed.
	errSuperseded = errors.New("others have changed the claim")
)

// swap changes a trial's claim if it still has the revision rev, 0 for none,
// and returns the new one; errSuperseded if it has not. An answer that got
// lost is made up for: the nonce shows whose the value is that is there.
func (s *session) swap(ctx context.Context, key string, c claim, rev uint64) (uint64, error) {
	c.Nonce = nonce()
	data, err := json.Marshal(c)
	if err != nil {
		return 0, err
	}
	var unsure time.Time // since when an answer is missing
	var now uint64
	err = retry(ctx, func(ctx context.Context) error {
		now, err = s.claims.Update(ctx, key, data, rev)
		if !errors.Is(err, jetstream.ErrKeyRevisionMismatch) && !errors.Is(err, jetstream.ErrKeyExists) {
			if err != nil && unsure.IsZero() {
				unsure = time.Now()
			}
			return err
		}
		if !unsure.IsZero() {
			have, at, e := s.claim(ctx, key)
			switch {
			case e == nil && have.Nonce == c.Nonce:
				now = at
				return nil
			case at > rev:
			case time.Since(unsure) < staleTime:
				// The key has a later revision, which this replica does not
				// know yet.
				return errStale
			}
		}
		return fmt.Errorf("%w: %w", errSuperseded, err)
	})
	return now, err
}

// errStale has a question repeated.
var errStale = errors.New("the replica that was asked lags behind")

// staleTime is how long a replica is believed to lag behind at most. A store that
// is damaged may never show what it says it has.
const staleTime = 6 * requestTime
