package hlsproxy_test

import (
	"bytes"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// byteMethods are the ways by which bytes go into or out of a value. io.Copy and net/http take the one that they like best.
var byteMethods = [][]string{
	{"Write", "WriteString", "ReadFrom", "WriteByte", "WriteRune", "WriteAt"},
	{"Read", "WriteTo", "ReadByte", "ReadRune", "ReadString", "ReadBytes", "Next"},
}

// A type that embeds another and has a way of its own for bytes must have all of them: a bound on Write is none while ReadFrom
// is promoted.
func TestNoPromotedMethodGoesAroundOurs(t *testing.T) {
	// Without -buildvcs=false, git refuses a checkout that belongs to another user, and the list fails.
	list := exec.Command("go", "list", "-buildvcs=false", "-export", "-deps", "-f", "{{.ImportPath}}\t{{.Export}}\t{{.Dir}}\t{{if and .Module .Module.Main}}{{join .GoFiles \",\"}}{{end}}", "./...")
	var complaints bytes.Buffer
	list.Stderr = &complaints
	out, err := list.Output()
	require.NoError(t, err, complaints.String())
	exports, ours := map[string]string{}, map[string][]string{}
	dirs := map[string]string{}
	for line := range strings.SplitSeq(strings.TrimSpace(string(out)), "\n") {
		f := strings.Split(line, "\t")
		exports[f[0]], dirs[f[0]] = f[1], f[2]
		if f[3] != "" {
			ours[f[0]] = strings.Split(f[3], ",")
		}
	}
	require.Greater(t, len(ours), 10)
	fset := token.NewFileSet()
	imp := importer.ForCompiler(fset, "gc", func(path string) (io.ReadCloser, error) { return os.Open(exports[path]) })
	seen := 0
	for path, files := range ours {
		p := checked(t, fset, imp, path, dirs[path], files)
		for _, name := range p.Scope().Names() {
			named, ok := p.Scope().Lookup(name).Type().(*types.Named)
			if !ok || named.TypeParams() != nil {
				continue
			}
			seen++
			if around := goesAround(named); around != "" {
				t.Errorf("%s.%s %s", strings.TrimPrefix(path, module+"/"), name, around)
			}
		}
	}
	require.Greater(t, seen, 100)
}

// goesAround names a promoted way for bytes beside a way of the type's own.
func goesAround(named *types.Named) string {
	set := types.NewMethodSet(types.NewPointer(named))
	for _, group := range byteMethods {
		var own, promoted []string
		for _, name := range group {
			switch m := set.Lookup(named.Obj().Pkg(), name); {
			case m == nil:
			case len(m.Index()) > 1 && strings.HasPrefix(m.Obj().Pkg().Path(), module): // of a type of ours, judged by itself
			case len(m.Index()) > 1:
				promoted = append(promoted, name)
			default:
				own = append(own, name)
			}
		}
		if len(own) > 0 && len(promoted) > 0 {
			return "has " + strings.Join(own, ", ") + " of its own and promotes " + strings.Join(promoted, ", ")
		}
	}
	return ""
}

func checked(t *testing.T, fset *token.FileSet, imp types.Importer, path, dir string, names []string) *types.Package {
	t.Helper()
	require.False(t, slices.Contains(names, ""))
	var files []*ast.File
	for _, name := range names {
		f, err := parser.ParseFile(fset, filepath.Join(dir, name), nil, parser.SkipObjectResolution)
		require.NoError(t, err)
		files = append(files, f)
	}
	p, err := (&types.Config{Importer: imp}).Check(path, fset, files, nil)
	require.NoError(t, err)
	return p
}
