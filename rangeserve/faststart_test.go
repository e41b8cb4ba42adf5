package rangeserve_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"
	"testing/iotest"

	"github.com/hlsproxy/hlsproxy/rangeserve"
	"github.com/stretchr/testify/require"
)

var (
	ftyp  = atom("ftyp", []byte("isom\x00\x00\x02\x00isommp42"))
	free  = atom("free", make([]byte, 20))
	media = bodyOf(200)
)

// moovOf makes a moov whose track has chunks at these places of the box with index i.
func moovOf(table func(...uint64) []byte, i int, places ...uint64) func(at []uint64) []byte {
	return func(at []uint64) []byte {
		var offsets []uint64
		for _, p := range places {
			offsets = append(offsets, at[i]+p)
		}
		return atom("moov", atom("mvhd", make([]byte, 100)), trak(table(offsets...)), atom("udta", []byte{0, 0, 0, 0}))
	}
}

// films are files that can be rearranged, or must be left alone.
var films = []struct {
	name  string
	file  []byte
	moved bool
}{
	{"moov last", film(ftyp, atom("mdat", media), moovOf(stco, 1, 8, 100, 150)), true},
	{"free and wide boxes", film(ftyp, free, atom("wide"), atom("mdat", media), free, moovOf(stco, 3, 8, 190), free), true},
	{"64-bit offsets", film(ftyp, atom("mdat", media), moovOf(co64, 1, 8, 100, 150)), true},
	{"64-bit mdat", film(ftyp, atom64("mdat", media), moovOf(stco, 1, 16, 100)), true},
	{"64-bit moov", film(ftyp, atom("mdat", media), func(at []uint64) []byte { return atom64("moov", trak(stco(at[1]+8, at[1]+9))) }), true},
	{"64-bit boxes within", film(ftyp, atom("mdat", media), func(at []uint64) []byte {
		return atom("moov", atom("trak", atom("mdia", atom("minf", atom("stbl", atom64("free", media[:9]), stco(at[1]+8))))))
	}), true},
	{"several tracks", film(ftyp, atom("mdat", media), func(at []uint64) []byte {
		return atom("moov", trak(stco(at[1]+8, at[1]+60)), trak(co64(at[1]+100, at[1]+120)), trak(stco()), trak(stco(at[1]+150)))
	}), true},
	{"several mdat", film(ftyp, atom("mdat", media), atom("mdat", media), func(at []uint64) []byte {
		return atom("moov", trak(stco(at[1]+8, at[2]+8, at[4]+8)))
	}, atom("mdat", media)), true},
	{"no ftyp", film(atom("mdat", media), moovOf(stco, 0, 8, 77)), true},
	{"ftyp not first", film(free, ftyp, atom("mdat", media), moovOf(stco, 2, 8, 77)), true},
	{"offsets in front of the moov", film(free, ftyp, atom("mdat", media), moovOf(stco, 0, 8)), true},
	{"moov up to the end", film(ftyp, atom("mdat", media), func(at []uint64) []byte {
		return append(header(0, "moov"), trak(stco(at[1]+8))...)
	}), true},
	{"auxiliary offsets", film(ftyp, atom("mdat", media), func(at []uint64) []byte {
		return atom("moov", trak(stco(at[1]+8), saio(at[1]+160, at[1]+170)))
	}), true},
	{"junk behind the moov", film(ftyp, atom("mdat", media), moovOf(stco, 1, 8), []byte("junk that is no box")), true},
	{"media up to the end behind", film(ftyp, atom("mdat", media), moovOf(stco, 1, 8), free, header(0, "mdat")), true},
	{"no track", film(ftyp, atom("mdat", media), atom("moov")), true},
	{"tags with pictures", film(ftyp, atom("mdat", media), func(at []uint64) []byte {
		return atom("moov", trak(stco(at[1]+8)), atom("meta", make([]byte, 40)))
	}), true},

	{"moov first", film(ftyp, moovOf(stco, 2, 8), atom("mdat", media)), false},
	{"moov first, another behind", film(ftyp, moovOf(stco, 2, 8), atom("mdat", media), atom("moov")), false},
	{"fragmented", film(ftyp, atom("moov", atom("mvex")), atom("moof"), atom("mdat", media)), false},
	{"a segment", film(atom("styp"), atom("moof"), atom("mdat", media)), false},
	{"an indexed segment", film(atom("styp"), atom("sidx"), atom("mdat", media)), false},
	{"fragments and moov behind", film(ftyp, atom("mdat", media), atom("moov", atom("mvex"), trak(stco(40)))), false},
	{"compressed moov", film(ftyp, atom("mdat", media), atom("moov", atom("cmov", media))), false},
	{"media in another file", film(ftyp, atom("mdat", media), atom("moov", atom("trak", atom("mdia", atom("minf", atom("dinf", dref(false))))))), false},
	{"items at offsets", film(ftyp, atom("mdat", media), atom("moov", atom("meta", make([]byte, 4), atom("iloc")))), false},
	{"fragments behind", film(ftyp, atom("mdat", media), moovOf(stco, 1, 8), atom("moof"), atom("mdat", media)), false},
	{"items of the file behind", film(ftyp, atom("mdat", media), moovOf(stco, 1, 8), atom("meta", make([]byte, 4), atom("iloc"))), false},
	{"items of the file", film(ftyp, atom("meta", make([]byte, 4)), atom("mdat", media), atom("moov")), false},
}

func TestFaststart(t *testing.T) {
	for _, c := range films {
		t.Run(c.name, func(t *testing.T) {
			src := bytes.NewReader(c.file)
			v, size, err := rangeserve.Faststart(src, src.Size())
			require.NoError(t, err)
			if !c.moved {
				require.Same(t, src, v)
				require.Equal(t, src.Size(), size)
				return
			}
			require.Equal(t, src.Size(), size)
			requireSameChunks(t, c.file, v, size)
			requireReaderAt(t, v, size)
		})
	}
}

// requireSameChunks checks that the moov is in front, and that each of its offsets leads to the same bytes as before.
func requireSameChunks(t *testing.T, file []byte, v io.ReaderAt, size int64) {
	t.Helper()
	after, err := chunks(v, size)
	require.NoError(t, err)
	i := bytes.LastIndex(file, []byte("moov"))
	skip := 4
	if binary.BigEndian.Uint32(file[i-4:]) == 1 {
		skip = 12
	}
	end := len(file)
	if n := int(binary.BigEndian.Uint32(file[i-4:])); n > 1 {
		end = i - 4 + n
	}
	before, err := tables(file[i+skip : end])
	require.NoError(t, err)
	require.Equal(t, len(before), len(after))
	for k := range before {
		want, got := make([]byte, 4), make([]byte, 4)
		copy(want, file[before[k]:])
		_, err := v.ReadAt(got, int64(after[k]))
		require.NoError(t, err)
		require.Equal(t, want, got, "chunk %d at %d, before at %d", k, after[k], before[k])
	}
}

// requireReaderAt checks that reads of every length and place agree.
func requireReaderAt(t *testing.T, v io.ReaderAt, size int64) {
	t.Helper()
	whole, err := io.ReadAll(io.NewSectionReader(v, 0, size))
	require.NoError(t, err)
	require.NoError(t, iotest.TestReader(io.NewSectionReader(v, 0, size), whole))
	n, err := v.ReadAt(make([]byte, 10), size-4)
	require.Equal(t, 4, n)
	require.ErrorIs(t, err, io.EOF)
	n, err = v.ReadAt(make([]byte, 10), size)
	require.Zero(t, n)
	require.ErrorIs(t, err, io.EOF)
	_, err = v.ReadAt(make([]byte, 10), -1)
	require.Error(t, err)
	_, err = v.(rangeserve.SectionWriter).WriteSection(io.Discard, 0, size+1)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	for off := int64(0); off < size; off += 13 {
		var b bytes.Buffer
		n, err := v.(rangeserve.SectionWriter).WriteSection(&b, off, min(40, size-off))
		require.NoError(t, err)
		require.Equal(t, whole[off:off+n], b.Bytes())
	}
}

// TestFaststartBeyond4GiB: offsets that no longer fit in 32 bits get 64. All others stay.
func TestFaststartBeyond4GiB(t *testing.T) {
	for _, c := range []struct {
		name  string
		last  int64 // offset of the last chunk
		grows bool
	}{
		{"far below", gib4 - 1_000_000, false},
		{"across", gib4 - 100, true},
		{"at the last that fits", gib4 - 1, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			moov := atom("moov", trak(stco(100, uint64(c.last))), trak(saio(200), stco(300, 400)), trak(co64(5<<30-9, 500, 5<<30+3000)))
			at := int64(5 << 30)
			mdat := append(header(1, "mdat"), binary.BigEndian.AppendUint64(nil, uint64(at-int64(len(ftyp))))...)
			src := &sparse{size: at + int64(len(moov)) + 5000, islands: map[int64][]byte{
				0: slices.Concat(ftyp, mdat), 100: []byte("one"), c.last: []byte("two"), 300: []byte("thr"), at: slices.Concat(moov, header(5000, "mdat")),
			}}
			v, size, err := rangeserve.Faststart(src, src.size)
			require.NoError(t, err)
			require.Less(t, src.read, int64(2000))
			grown := int64(0)
			if c.grows {
				grown = 4 * 5
			}
			require.Equal(t, src.size+grown, size)
			shift := uint64(len(moov)) + uint64(grown)
			offsets, err := chunks(v, size)
			require.NoError(t, err)
			require.Equal(t, []uint64{
				100 + shift, uint64(c.last) + shift, 200 + shift, 300 + shift, 400 + shift, 5<<30 - 9 + shift, 500 + shift,
				5<<30 + 3000 + uint64(grown), // behind the moov: only what it has grown by
			}, offsets)
			for i, want := range map[int]string{0: "one", 1: "two", 3: "thr"} {
				got := make([]byte, 3)
				_, err := v.ReadAt(got, int64(offsets[i]))
				require.NoError(t, err)
				require.Equal(t, want, string(got))
			}
		})
	}
}

// TestFaststartReadsWhatIsAskedFor, and nothing else.
func TestFaststartReadsWhatIsAskedFor(t *testing.T) {
	moov := atom("moov", trak(stco(100)), atom("free", make([]byte, 100_000)))
	mdat := header(1<<30, "mdat")
	src := &sparse{size: int64(len(ftyp)) + 1<<30 + int64(len(moov)), islands: map[int64][]byte{0: slices.Concat(ftyp, mdat)}}
	src.islands[int64(len(ftyp))+1<<30] = moov
	v, size, err := rangeserve.Faststart(src, src.size)
	require.NoError(t, err)
	require.LessOrEqual(t, src.read, int64(len(moov)+3*16))
	for _, off := range []int64{0, int64(len(ftyp)) + 5, size / 2, size - 10} {
		src.read = 0
		_, err := v.ReadAt(make([]byte, 10), off)
		require.NoError(t, err)
		require.LessOrEqual(t, src.read, int64(10))
	}
}

// hostileFilms must be refused, at a small cost.
func hostileFilms() map[string][]byte {
	stbl := func(b ...[]byte) []byte {
		return atom("moov", atom("trak", atom("mdia", atom("minf", atom("stbl", b...)))))
	}
	deep := []byte{}
	for range 20 {
		deep = atom("trak", deep)
	}
	after := func(moov []byte) []byte { return film(ftyp, atom("mdat", media), moov) }
	count := func(kind string, n uint32, rest ...byte) []byte {
		return atom(kind, make([]byte, 4), binary.BigEndian.AppendUint32(nil, n), rest)
	}
	return map[string][]byte{
		"nothing":                       {},
		"text":                          []byte("#!/bin/sh\necho this is no film\n"),
		"a few bytes":                   {0, 0, 0},
		"no moov":                       film(ftyp, atom("mdat", media)),
		"mdat to the end":               film(ftyp, header(0, "mdat"), media),
		"mdat cut short":                film(ftyp, header(5000, "mdat"), media),
		"a box of 4 bytes":              film(ftyp, header(4, "free"), media),
		"a box of 7 bytes":              film(ftyp, header(7, "mdat"), media),
		"a 64-bit box of 8 bytes":       film(ftyp, header(1, "mdat"), []byte{0, 0, 0, 0, 0, 0, 0, 8}),
		"a 64-bit size beyond int64":    film(ftyp, header(1, "mdat"), bytes.Repeat([]byte{255}, 8)),
		"a 64-bit size that wraps":      film(ftyp, header(1, "mdat"), []byte{127, 255, 255, 255, 255, 255, 255, 255}),
		"a 64-bit header cut short":     film(ftyp, header(1, "mdat"), []byte{0, 0}),
		"more boxes than films have":    film(ftyp, atom("mdat", media), bytes.Repeat(atom("free"), 5000), atom("moov")),
		"trailing bytes":                film(ftyp, atom("mdat", media), []byte{0, 0, 0}),
		"a moov cut short":              film(ftyp, atom("mdat", media), header(100, "moov")),
		"a box beyond the moov":         after(atom("moov", header(1000, "trak"))),
		"a box of 2 bytes in the moov":  after(atom("moov", header(2, "trak"))),
		"a box without size within":     after(atom("moov", header(0, "trak"), media)),
		"a 64-bit header cut within":    after(atom("moov", header(1, "trak"))),
		"boxes nested for ever":         after(atom("moov", deep)),
		"a table without a count":       after(stbl(atom("stco", make([]byte, 4)))),
		"an empty table box":            after(stbl(atom("co64"))),
		"a table of too many":           after(stbl(count("stco", 2, 0, 0, 0, 1))),
		"a table of 4 milliards":        after(stbl(count("stco", 0xffffffff, 0, 0, 0, 1))),
		"a 64-bit table of 4 milliards": after(stbl(count("co64", 0xffffffff, 0, 0, 0, 1))),
		"a 64-bit table of halves":      after(stbl(count("co64", 2, make([]byte, 12)...))),
		"an empty saio":                 after(stbl(atom("saio"))),
		"a saio cut short":              after(stbl(atom("saio", []byte{0, 0, 0, 1, 0, 0, 0, 0}))),
		"a saio of too many":            after(stbl(count("saio", 9))),
		"an empty dref":                 after(stbl(atom("dref"))),
		"a dref of too many":            after(stbl(count("dref", 2, atom("url ", []byte{0, 0, 0, 1})...))),
		"a dref without flags":          after(stbl(count("dref", 1, atom("url ")...))),
		"a dref without size":           after(stbl(count("dref", 1, append(header(0, "url "), 0, 0, 0, 1)...))),
	}
}

func TestFaststartRefuses(t *testing.T) {
	for name, file := range hostileFilms() {
		t.Run(name, func(t *testing.T) {
			src := bytes.NewReader(file)
			v, size, err := rangeserve.Faststart(src, src.Size())
			require.ErrorIs(t, err, rangeserve.ErrMP4)
			require.Same(t, src, v)
			require.Equal(t, src.Size(), size)
		})
	}
}

// TestFaststartRefusesAMoovThatIsTooLarge before it takes memory for it.
func TestFaststartRefusesAMoovThatIsTooLarge(t *testing.T) {
	mdat := atom("mdat", media)
	src := &sparse{size: 1 << 40, islands: map[int64][]byte{
		0: slices.Concat(ftyp, mdat, header(1, "moov"), binary.BigEndian.AppendUint64(nil, 1<<40-uint64(len(ftyp)+len(mdat)))),
	}}
	_, _, err := rangeserve.Faststart(src, src.size)
	require.ErrorIs(t, err, rangeserve.ErrMP4)
	require.LessOrEqual(t, src.read, int64(64))
}

// broke is a source that fails from an offset on.
type broke struct {
	io.ReaderAt
	from int64
}

var errBroke = errors.New("the disk is gone")

func (b broke) ReadAt(p []byte, off int64) (int, error) {
	if off+int64(len(p)) > b.from {
		return 0, errBroke
	}
	return b.ReaderAt.ReadAt(p, off)
}

func TestFaststartPassesReadErrorsOn(t *testing.T) {
	file := films[0].file
	for from := range len(file) {
		_, _, err := rangeserve.Faststart(broke{bytes.NewReader(file), int64(from)}, int64(len(file)))
		require.ErrorIs(t, err, errBroke)
		require.NotErrorIs(t, err, rangeserve.ErrMP4)
	}
	v, size, err := rangeserve.Faststart(bytes.NewReader(file[:len(file)-10]), int64(len(file)))
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	require.NotNil(t, v)
	require.Equal(t, int64(len(file)), size)

	src := &broke{bytes.NewReader(file), int64(len(file))}
	v, size, err = rangeserve.Faststart(src, int64(len(file)))
	require.NoError(t, err)
	src.from = 100
	_, err = io.ReadAll(io.NewSectionReader(v, 0, size))
	require.ErrorIs(t, err, errBroke)
	_, err = v.(rangeserve.SectionWriter).WriteSection(io.Discard, 0, size)
	require.ErrorIs(t, err, errBroke)
}

// FuzzFaststart: no file makes it panic, take much memory, or lose or add a byte.
func FuzzFaststart(f *testing.F) {
	for _, c := range films {
		f.Add(c.file)
	}
	for _, file := range hostileFilms() {
		if len(file) < 1000 { // large seeds take the fuzzer long to make smaller
			f.Add(file)
		}
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		src := bytes.NewReader(file)
		v, size, err := rangeserve.Faststart(src, src.Size())
		if err != nil || v == io.ReaderAt(src) {
			require.Equal(t, src.Size(), size)
			return
		}
		require.Equal(t, src.Size(), size) // nothing here crosses 4 GiB
		got, err := io.ReadAll(io.NewSectionReader(v, 0, size))
		require.NoError(t, err)
		require.Len(t, got, len(file))
		again, _, err := rangeserve.Faststart(bytes.NewReader(got), size)
		require.NoError(t, err)
		require.IsType(t, src, again, "a view of a view")
	})
}

func ExampleFaststart() {
	slow := film(ftyp, atom("mdat", media), moovOf(stco, 1, 8))
	v, size, err := rangeserve.Faststart(bytes.NewReader(slow), int64(len(slow)))
	if err != nil {
		fmt.Println(err)
		return
	}
	for at := int64(0); at < size; {
		kind, _, n, _ := boxAt(v, at, size)
		fmt.Print(kind, " ")
		at += n
	}
	fmt.Println(size == int64(len(slow)))
	// Output: ftyp moov mdat true
}
