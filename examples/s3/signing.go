package main

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/minio/minio-go/v7/pkg/credentials"
	"github.com/minio/minio-go/v7/pkg/s3utils"
	"github.com/minio/minio-go/v7/pkg/signer"
)

// signing signs requests to the bucket (AWS Signature Version 4), below the cache, so that nothing of it is in what viewers
// share. Of a viewer's input it signs only the key of an object: no query, which could name other operations, and no method but
// GET and HEAD.
type signing struct {
	base        http.RoundTripper
	bucket      string // its URL
	region      string
	endpoint    string
	credentials *credentials.Credentials
}

var errNoObject = told{errors.New("that is the name of no object"), http.StatusNotFound}

// told is an error with a status for the viewer.
type told struct {
	error
	status int
}

// HTTPStatus returns it.
func (t told) HTTPStatus() int { return t.status }

// RoundTrip is that of http.RoundTripper.
func (s *signing) RoundTrip(r *http.Request) (*http.Response, error) {
	where := *r.URL
	where.RawQuery, where.Fragment, where.RawFragment = "", "", ""
	key, inside := strings.CutPrefix(where.String(), s.bucket)
	if !inside || key == "" || strings.HasPrefix(key, ".") || strings.HasSuffix(key, "/") || r.Method != http.MethodGet && r.Method != http.MethodHead {
		return nil, errNoObject
	}
	value, err := s.credentials.GetWithContext(nil)
	if err != nil {
		return nil, fmt.Errorf("access key: %w", err)
	}
	out := r.Clone(r.Context())
	where.RawPath = s3utils.EncodePath(where.Path) // the one spelling that is signed: "+" is a blank to some stores
	out.URL = &where
	out.Host = where.Host
	out.Header.Set("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD")
	out = signer.SignV4(*out, value.AccessKeyID, value.SecretAccessKey, value.SessionToken, s.region)
	resp, err := s.base.RoundTrip(out)
	if err != nil || resp.StatusCode != http.StatusForbidden {
		return ours(resp, err, r)
	}
	defer resp.Body.Close()
	return nil, s.refused(r.Context(), resp)
}

// ours makes the answer belong to the request before it was signed.
func ours(resp *http.Response, err error, r *http.Request) (*http.Response, error) {
	if err == nil {
		resp.Request = r
		plain(resp.Header)
	}
	return resp, err
}

// plain removes the remains of an upload in signed chunks from Content-Encoding: the object itself is not encoded like that.
func plain(h http.Header) {
	var real []string
	for coding := range strings.SplitSeq(strings.Join(h.Values("Content-Encoding"), ","), ",") {
		if coding = strings.TrimSpace(coding); coding != "" && !strings.EqualFold(coding, "aws-chunked") {
			real = append(real, coding)
		}
	}
	h.Del("Content-Encoding")
	if real != nil {
		h.Set("Content-Encoding", strings.Join(real, ", "))
	}
}

// refused finds out what a 403 of the store means: a missing object, if the keys may not list, or wrong keys or clocks.
func (s *signing) refused(ctx context.Context, resp *http.Response) error {
	var said struct{ Code string }
	text, _ := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	_ = xml.Unmarshal(text, &said)
	switch said.Code {
	case "", "AccessDenied":
		return errNoObject
	case "RequestTimeTooSkewed":
		return errSkew(ctx, s.endpoint)
	}
	return fmt.Errorf("the store refuses the access key: %s", said.Code)
}
