package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/s3utils"
	"golang.org/x/sync/errgroup"
)

// store is a bucket of titles. A title is a folder with a playlist index.m3u8 or master.m3u8, or a film beside them.
type store struct {
	client *minio.Client
	bucket string
	base   string // the URL of the bucket, with a slash at its end
}

func openStore(ctx context.Context, o options) (*store, error) {
	secure := strings.HasPrefix(o.endpoint.URL, "https:")
	host := strings.TrimSuffix(strings.TrimPrefix(strings.TrimPrefix(o.endpoint.URL, "https://"), "http://"), "/")
	client, err := minio.New(host, &minio.Options{Creds: o.credentials, Secure: secure, Region: o.region, MaxRetries: 3})
	if err != nil {
		return nil, fmt.Errorf("-endpoint %q: %w", o.endpoint.URL, err)
	}
	s := &store{client: client, bucket: o.bucket}
	// The client knows best whether this store has buckets in the path or in the host name.
	some, err := client.PresignedGetObject(ctx, o.bucket, "x", time.Minute, nil)
	if err != nil {
		return nil, fmt.Errorf("-bucket %q: %w", o.bucket, err)
	}
	some.RawQuery = ""
	s.base = strings.TrimSuffix(some.String(), "x")
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	if _, _, err = s.entries(ctx, "", "", 1); err != nil {
		return nil, s.explain(ctx, o, err)
	}
	return s, nil
}

// explain says which flag is wrong.
func (s *store) explain(ctx context.Context, o options, err error) error {
	switch said := minio.ToErrorResponse(err); said.Code {
	case "NoSuchBucket":
		return fmt.Errorf("-bucket %q: the store has no such bucket", o.bucket)
	case "InvalidAccessKeyId", "XAdminUserNotFound": // as versitygw has it
		return errors.New("-access-key: the store does not know it")
	case "SignatureDoesNotMatch":
		return errors.New("-secret-key: it is not that of the access key")
	case "AccessDenied":
		return fmt.Errorf("-bucket %q: these keys may not list it; docs/object-store.md has the rights that are needed", o.bucket)
	case "AuthorizationHeaderMalformed", "InvalidRegion", "PermanentRedirect":
		return fmt.Errorf("-region %q: the bucket %q is in another one: %s", o.region, o.bucket, said.Message)
	case "RequestTimeTooSkewed":
		return errSkew(ctx, o.endpoint.URL)
	}
	return fmt.Errorf("-endpoint %q: the store does not answer as it should: %w", o.endpoint.URL, err)
}

// errSkew asks the store for its time.
func errSkew(ctx context.Context, endpoint string) error {
	err := errors.New("the clocks of this machine and of the store differ too much for a signature to hold: set this one by NTP")
	r, _ := http.NewRequestWithContext(ctx, http.MethodHead, endpoint, nil)
	resp, failed := http.DefaultClient.Do(r)
	if failed != nil {
		return err
	}
	resp.Body.Close()
	if theirs, failed := http.ParseTime(resp.Header.Get("Date")); failed == nil {
		err = fmt.Errorf("%w: here it is %s, there %s later", err, time.Now().UTC().Format(time.RFC3339), time.Until(theirs).Round(time.Second))
	}
	return err
}

// entries lists up to most names directly below a prefix, after one of them: folders with a slash at their end.
func (s *store) entries(ctx context.Context, prefix, after string, most int) (names []string, more bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if after != "" && strings.HasSuffix(after, "/") {
		after += "\U0010FFFF" // after everything in that folder
	}
	for e := range s.client.ListObjectsIter(ctx, s.bucket, minio.ListObjectsOptions{Prefix: prefix, StartAfter: after, MaxKeys: most + 1}) {
		switch {
		case e.Err != nil:
			return nil, false, e.Err
		case len(names) == most:
			return names, true, nil
		}
		names = append(names, e.Key)
	}
	return names, false, nil
}

// title is something playable. Parts that it lacks are empty.
type title struct {
	name               string // its display name
	key                string // of the folder, with a slash at its end, or of the film
	playlist, original string // keys
}

const onePage = 50

// titles lists one page of titles.
func (s *store) titles(ctx context.Context, after string) (list []title, next string, err error) {
	names, more, err := s.entries(ctx, "", after, onePage)
	if err != nil {
		return nil, "", err
	}
	found := make([]title, len(names))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(8)
	for i, key := range names {
		g.Go(func() (err error) {
			found[i], err = s.title(ctx, key)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, "", err
	}
	if more {
		next = names[len(names)-1]
	}
	return slices.DeleteFunc(found, func(t title) bool { return t.playlist == "" && t.original == "" }), next, nil
}

// title examines a folder.
func (s *store) title(ctx context.Context, key string) (title, error) {
	t := title{key: key}
	t.name, _, _ = strings.Cut(strings.TrimSuffix(key, "/"), "~")
	switch {
	case strings.HasPrefix(key, "."):
		return t, nil
	case !strings.HasSuffix(key, "/"):
		if isFilm(key) {
			t.original = key
		}
		return t, nil
	}
	files, more, err := s.entries(ctx, key, "", 1000)
	if err != nil {
		return t, err
	}
	for _, file := range files {
		switch name := strings.TrimPrefix(file, key); {
		case name == "master.m3u8", name == "index.m3u8" && t.playlist == "":
			t.playlist = file
		case strings.HasPrefix(name, "original.") && isFilm(name):
			t.original = file
		}
	}
	if more && t.playlist == "" { // many segments beside the playlist
		if _, err := s.client.StatObject(ctx, s.bucket, key+"master.m3u8", minio.StatObjectOptions{}); err == nil {
			t.playlist = key + "master.m3u8"
		}
	}
	if t.playlist == "" {
		t.original = "" // it is being uploaded or removed
	}
	return t, nil
}

func isFilm(key string) bool {
	return slices.Contains([]string{".mp4", ".m4v", ".mov", ".webm", ".m4a", ".mp3"}, strings.ToLower(path.Ext(key)))
}

// remove removes everything with this prefix. It removes playlists first, so that nothing plays in part.
func (s *store) remove(ctx context.Context, prefix string) error {
	var keys []string
	for e := range s.client.ListObjectsIter(ctx, s.bucket, minio.ListObjectsOptions{Prefix: prefix, Recursive: true}) {
		if e.Err != nil {
			return e.Err
		}
		keys = append(keys, e.Key)
	}
	slices.SortStableFunc(keys, func(a, b string) int { return cmp.Compare(order(b), order(a)) })
	for _, key := range keys {
		if err := s.client.RemoveObject(ctx, s.bucket, key, minio.RemoveObjectOptions{}); err != nil {
			return err
		}
	}
	return nil
}

func (s *store) removeOne(ctx context.Context, key string) error {
	return s.client.RemoveObject(ctx, s.bucket, key, minio.RemoveObjectOptions{})
}

// order is the order in which the files of a title are stored: files come before the playlist that names them.
func order(key string) int {
	switch {
	case !strings.HasSuffix(key, ".m3u8"):
		return 0
	case strings.Count(key, "/") > 1:
		return 1
	}
	return 2
}

// kind is the type and the caching of a file.
func kind(name string) minio.PutObjectOptions {
	o := minio.PutObjectOptions{CacheControl: "public, max-age=31536000, immutable", ContentType: "application/octet-stream"}
	switch ext := path.Ext(name); ext {
	case ".m3u8":
		o.ContentType, o.CacheControl = "application/vnd.apple.mpegurl", "public, max-age=60"
	case ".ts":
		o.ContentType = "video/mp2t"
	case ".m4s", ".mp4":
		o.ContentType = "video/mp4"
	case ".mkv":
		o.ContentType = "video/x-matroska"
	default:
		if known := mime.TypeByExtension(ext); strings.HasPrefix(known, "video/") {
			o.ContentType = known
		}
	}
	return o
}

// address is the URL of a key, in the spelling of the signing transport.
func (s *store) address(key string) string { return s.base + s3utils.EncodePath(key) }
