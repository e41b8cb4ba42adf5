package main

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hlsproxy/hlsproxy/examples/internal/uploads"
	"github.com/minio/minio-go/v7"
	"golang.org/x/sync/errgroup"
)

// publisher puts films into the bucket. While a film is incomplete, an object below mark names it, so that the remains of a
// killed process can be found.
type publisher struct {
	store *store
	mark  string // a prefix of this program on this machine

	mu   sync.Mutex
	busy map[string]bool // titles
}

// object is a file and its key.
type object struct {
	file, key string
	size      int64
}

// publish stores the segments first and the playlist that players open last, and returns the key of that playlist. A film that
// fails leaves nothing that plays. Each film has a name that is never reused, because caches keep its segments.
func (p *publisher) publish(ctx context.Context, film uploads.Film, percent func(int)) (key string, err error) {
	name := film.Title + "~" + strings.ToLower(rand.Text()[:8])
	all, total, err := objectsOf(film, name)
	if err != nil {
		return "", err
	}
	p.hold(name, true)
	defer p.hold(name, false)
	s, mark := p.store, p.mark+name
	if _, err := s.client.PutObject(ctx, s.bucket, mark, strings.NewReader(""), 0, minio.PutObjectOptions{}); err != nil {
		return "", failed{err}
	}
	defer func() {
		late, cancel := context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)
		defer cancel()
		if err == nil || s.remove(late, name+"/") == nil {
			s.client.RemoveObject(late, s.bucket, mark, minio.RemoveObjectOptions{})
		}
	}()
	sent := &meter{total: total, percent: percent}
	for len(all) > 0 { // each step stores the objects of one order
		n := slices.IndexFunc(all, func(o object) bool { return order(o.key) != order(all[0].key) })
		if n < 0 {
			n = len(all)
		}
		g, ctx := errgroup.WithContext(ctx)
		g.SetLimit(4)
		for _, o := range all[:n] {
			g.Go(func() error {
				options := kind(o.key)
				options.Progress = sent
				_, err := s.client.FPutObject(ctx, s.bucket, o.key, o.file, options)
				return err
			})
		}
		if err := g.Wait(); err != nil {
			return "", failed{err}
		}
		all = all[n:]
	}
	return name + "/index.m3u8", nil
}

// objectsOf are the files of a film, in their order.
func objectsOf(film uploads.Film, name string) (all []object, total int64, err error) {
	err = filepath.WalkDir(film.Folder, func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		inside, err := filepath.Rel(film.Folder, file)
		all = append(all, object{file: file, key: path.Join(name, filepath.ToSlash(inside))})
		return err
	})
	all = append(all, object{file: film.File, key: name + "/original" + film.Ext})
	for i := range all {
		info, failed := os.Stat(all[i].file)
		if failed != nil {
			return nil, 0, errors.Join(err, failed)
		}
		all[i].size = info.Size()
		total += info.Size()
	}
	slices.SortStableFunc(all, func(a, b object) int { return order(a.key) - order(b.key) })
	return all, total, err
}

// hold tells clean which titles are in progress.
func (p *publisher) hold(name string, busy bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.busy == nil {
		p.busy = map[string]bool{}
	}
	if busy {
		p.busy[name] = true
	} else {
		delete(p.busy, name)
	}
}

// clean removes what this program began to store and never finished.
func (p *publisher) clean(ctx context.Context) error {
	s := p.store
	for mark := range s.client.ListObjectsIter(ctx, s.bucket, minio.ListObjectsOptions{Prefix: p.mark, Recursive: true}) {
		if mark.Err != nil {
			return mark.Err
		}
		name := strings.TrimPrefix(mark.Key, p.mark)
		p.mu.Lock()
		busy := p.busy[name]
		p.mu.Unlock()
		if busy || name == "" {
			continue
		}
		if err := s.remove(ctx, name+"/"); err != nil {
			return err
		}
		for part := range s.client.ListIncompleteUploads(ctx, s.bucket, name+"/", true) {
			if part.Err == nil {
				s.client.RemoveIncompleteUpload(ctx, s.bucket, part.Key)
			}
		}
		if err := s.client.RemoveObject(ctx, s.bucket, mark.Key, minio.RemoveObjectOptions{}); err != nil {
			return err
		}
	}
	return nil
}

// failed is a failure of the store. The uploader does not see its text.
type failed struct{ error }

// Unwrap returns what it is.
func (f failed) Unwrap() error { return f.error }

// meter counts the bytes that are sent, for PutObjectOptions.Progress. Parts are sent in parallel; percent is called by one of
// them at a time, with values that never fall.
type meter struct {
	total   int64
	percent func(int)

	mu   sync.Mutex
	sent int64
}

// Read gets a copy of all bytes that are sent.
func (m *meter) Read(b []byte) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sent += int64(len(b))
	m.percent(int(100 * float64(m.sent) / float64(max(1, m.total))))
	return len(b), nil
}

var _ io.Reader = (*meter)(nil)
