package queue

import "time"

// Workers keep a trial's folder until the search has had time to write its
// outcome to the ledger: should the coordinator die before, the same worker
// does the trial again in no time.

// settled notes that a trial's outcome was given to the search.
func (q *Queue) settled(key string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.ended = append(q.ended, ended{key, time.Now()})
}

type ended struct {
	key string
	at  time.Time
}

// confirmTime is more than a running search needs to write a line of its ledger.
const confirmTime = 5 * time.Second

// confirm tells workers which trials' folders they can remove: of those that
// were given to the search so long ago.
func (q *Queue) confirm(l *live, since time.Duration) {
	q.mu.Lock()
	var now []string
	for len(q.ended) > 0 && time.Since(q.ended[0].at) >= since {
		now = append(now, q.ended[0].key)
		q.ended = q.ended[1:]
	}
	q.mu.Unlock()
	if l.srv != nil {
		return // nobody is elsewhere
	}
	for _, key := range now {
		l.nc.Publish(l.names.taken(key), nil)
	}
}
