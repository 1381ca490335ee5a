package serve

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// request is what a client asks of /v1. Parameters may be in the query, in a
// form's fields or in JSON; the last two go before the first.
type request struct {
	Model   string    `json:"model"`
	Version text      `json:"version"`
	Top     *int      `json:"top"`
	Class   text      `json:"class"`
	Opacity *float64  `json:"opacity"`
	Format  string    `json:"format"`
	Images  []encoded `json:"images"`

	uploads []upload
}

// text is a string, or a number that is read as one.
type text string

func (t *text) UnmarshalJSON(b []byte) error {
	var n json.Number
	if len(b) > 0 && b[0] != '"' {
		if err := json.Unmarshal(b, &n); err != nil {
			return err
		}
		*t = text(n)
		return nil
	}
	return json.Unmarshal(b, (*string)(t))
}

// encoded is a picture in JSON: base64, or an object with a name and base64.
type encoded struct {
	Name string `json:"name"`
	Data []byte `json:"data"`
}

func (e *encoded) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '"' {
		return json.Unmarshal(b, &e.Data)
	}
	type plain encoded
	return strict(b, (*plain)(e))
}

// strict reads JSON that has to be one value without unknown fields.
func strict(b []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return err
	}
	if _, err := d.Token(); err != io.EOF {
		return errors.New("something follows the JSON value")
	}
	return nil
}

// parameters reads a query or the fields of a form.
func (q *request) parameters(v url.Values) error {
	for key, values := range v {
		value := values[len(values)-1]
		var err error
		if (key == "model" || key == "version") && !validName(value) {
			return badName(key, value)
		}
		switch key {
		case "model":
			q.Model = value
		case "version":
			q.Version = text(value)
		case "class":
			q.Class = text(value)
		case "format":
			q.Format = value
		case "top":
			var n int
			n, err = strconv.Atoi(value)
			q.Top = &n
		case "opacity":
			var x float64
			x, err = strconv.ParseFloat(value, 64)
			q.Opacity = &x
		default:
			return errorf(http.StatusBadRequest, "unknown parameter %q", key)
		}
		if err != nil {
			return errorf(http.StatusBadRequest, "%s is %q, want a number", key, value)
		}
	}
	return nil
}

// badName is the error of a parameter that is no name of a model or version.
func badName(key, value string) error {
	return errorf(http.StatusBadRequest, "%s is %q, want letters, digits and . _ -", key, value)
}

// parse reads the body of a /v1 request: a form, JSON or a picture.
func (q *request) parse(r *http.Request, body []byte) error {
	kind, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if r.Header.Get("Content-Type") == "" {
		err = nil
	}
	if err != nil {
		return errorf(http.StatusUnsupportedMediaType, "the Content-Type %q cannot be read", r.Header.Get("Content-Type"))
	}
	switch {
	case kind == "multipart/form-data":
		err = q.form(multipart.NewReader(bytes.NewReader(body), params["boundary"]))
	case kind == "application/json":
		if err = strict(body, q); err != nil {
			err = errorf(http.StatusBadRequest, "the body is not the JSON that is wanted: %v", err)
		}
		for i, e := range q.Images {
			if e.Name == "" {
				e.Name = fmt.Sprintf("image %d", i+1)
			}
			q.uploads = append(q.uploads, upload{e.Name, e.Data})
		}
	case kind == "" || kind == "application/octet-stream" || kind == "application/x-www-form-urlencoded" && looksBinary(body) || strings.HasPrefix(kind, "image/"):
		if len(body) > 0 {
			q.uploads = []upload{{"", body}}
		}
	default:
		err = errorf(http.StatusUnsupportedMediaType, "the Content-Type is %q, want an image, multipart/form-data or application/json", kind)
	}
	if err == nil && len(q.uploads) == 0 {
		err = errorf(http.StatusBadRequest, "the request has no image")
	}
	return err
}

// looksBinary tells a picture that was sent as curl's --data-binary does, with
// the type of a form, from a form.
func looksBinary(body []byte) bool {
	return bytes.IndexFunc(body[:min(len(body), 16)], func(r rune) bool { return r < ' ' || r > '~' }) >= 0
}

// maxField is the longest field of a form that is no file, in bytes.
const maxField = 4096

func (q *request) form(m *multipart.Reader) error {
	fields := url.Values{}
	for {
		p, err := m.NextPart()
		if err == io.EOF {
			return q.parameters(fields)
		}
		if err != nil {
			return errorf(http.StatusBadRequest, "the form cannot be read: %v", err)
		}
		if p.FileName() == "" && p.FormName() != "image" && p.FormName() != "images" {
			value, err := io.ReadAll(io.LimitReader(p, maxField+1))
			switch {
			case err != nil:
				return errorf(http.StatusBadRequest, "the form cannot be read: %v", err)
			case len(value) > maxField:
				return errorf(http.StatusBadRequest, "the field %q has more than %d bytes", p.FormName(), maxField)
			}
			fields.Add(p.FormName(), string(value))
			continue
		}
		data, err := io.ReadAll(p) // of a body that is in memory and has a limit
		if err != nil {
			return errorf(http.StatusBadRequest, "the form cannot be read: %v", err)
		}
		name := p.FileName()
		if name == "" {
			name = fmt.Sprintf("image %d", len(q.uploads)+1)
		}
		q.uploads = append(q.uploads, upload{name, data})
	}
}
