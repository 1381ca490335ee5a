package serve

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// metrics are what /metrics gives. Those that begin with nv_inference have the
// names, labels and meanings of NVIDIA Triton's, so that what watches one can
// watch the other; times of Triton's are sums in microseconds.
type metrics struct {
	registry *prometheus.Registry

	success, failure, count, exec        *prometheus.CounterVec
	duration, queue, input, infer, write *prometheus.CounterVec
	pending                              *prometheus.GaugeVec

	seconds  *prometheus.HistogramVec
	batch    *prometheus.HistogramVec
	reloads  *prometheus.CounterVec
	requests *prometheus.CounterVec
}

// modelMetrics are those of one model and version.
type modelMetrics struct {
	success, count, exec                 prometheus.Counter
	duration, queue, input, infer, write prometheus.Counter
	pending                              prometheus.Gauge
	failure, reloads                     *prometheus.CounterVec // by reason, by result
	seconds, batch                       prometheus.Observer
}

// Reasons of failures, Triton's.
const (
	reasonRejected = "REJECTED" // no room, or no turn in time
	reasonCanceled = "CANCELED" // the client has gone
	reasonBackend  = "BACKEND"  // the network failed
	reasonOther    = "OTHER"    // what was asked for is wrong
)

func newMetrics() *metrics {
	r := prometheus.NewRegistry()
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	model := []string{"model", "version"}
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
		r.MustRegister(c)
		return c
	}
	m := &metrics{
		registry: r,
		success:  counter("nv_inference_request_success", "Number of successful inference requests", model...),
		failure:  counter("nv_inference_request_failure", "Number of failed inference requests by reason: REJECTED, CANCELED, BACKEND, OTHER", append(model, "reason")...),
		count:    counter("nv_inference_count", "Number of inferences performed: images", model...),
		exec:     counter("nv_inference_exec_count", "Number of model executions performed: batches", model...),
		duration: counter("nv_inference_request_duration_us", "Cumulative time of successful requests, their body read, in microseconds", model...),
		queue:    counter("nv_inference_queue_duration_us", "Cumulative time of waiting for a batch, summed over images, in microseconds", model...),
		input:    counter("nv_inference_compute_input_duration_us", "Cumulative time of decoding and preparing, summed over requests, in microseconds", model...),
		infer:    counter("nv_inference_compute_infer_duration_us", "Cumulative time of running the network, summed over batches, in microseconds", model...),
		write:    counter("nv_inference_compute_output_duration_us", "Cumulative time of making answers, summed over requests, in microseconds", model...),
		reloads:  counter("effnet_model_reloads_total", "Reloads of models by result: success, failure", append(model, "result")...),
		requests: counter("effnet_http_requests_total", "HTTP requests by route and status", "route", "status"),
		pending:  prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "nv_inference_pending_request_count", Help: "Images admitted and not answered yet"}, model),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "effnet_request_seconds", Help: "Time of successful inference requests, their body read",
			Buckets: prometheus.ExponentialBuckets(0.001, 2, 15)}, model),
		batch: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "effnet_batch_size", Help: "Images of a batch", Buckets: []float64{1, 2, 4, 8, 16, 32, 64}}, model),
	}
	r.MustRegister(m.pending, m.seconds, m.batch)
	return m
}

// of are the metrics of a model. They are there from the start, at 0.
func (m *metrics) of(model, version string) *modelMetrics {
	l := prometheus.Labels{"model": model, "version": version}
	o := &modelMetrics{
		success: m.success.With(l), count: m.count.With(l), exec: m.exec.With(l),
		duration: m.duration.With(l), queue: m.queue.With(l), input: m.input.With(l), infer: m.infer.With(l), write: m.write.With(l),
		pending: m.pending.With(l), failure: m.failure.MustCurryWith(l), reloads: m.reloads.MustCurryWith(l),
		seconds: m.seconds.With(l), batch: m.batch.With(l),
	}
	for _, reason := range []string{reasonRejected, reasonCanceled, reasonBackend, reasonOther} {
		o.failure.WithLabelValues(reason)
	}
	return o
}

func micros(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e3 }

// executed notes a batch of n images.
func (m *modelMetrics) executed(n int, took time.Duration) {
	m.exec.Inc()
	m.count.Add(float64(n))
	m.infer.Add(micros(took))
	m.batch.Observe(float64(n))
}

// ended notes the end of an inference request that came at start.
func (m *modelMetrics) ended(start time.Time, err error) {
	if err == nil {
		took := time.Since(start)
		m.success.Inc()
		m.duration.Add(micros(took))
		m.seconds.Observe(took.Seconds())
		return
	}
	reason := reasonOther
	switch status := statusOf(err); {
	case errors.Is(err, context.Canceled):
		reason = reasonCanceled
	case status == http.StatusServiceUnavailable:
		reason = reasonRejected
	case status == http.StatusInternalServerError:
		reason = reasonBackend
	}
	m.failure.WithLabelValues(reason).Inc()
}

func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}
