package hlsproxy_test

import (
	"go/ast"
	"go/doc"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const module = "github.com/hlsproxy/hlsproxy"

var packages = []string{"audience", "cache", "corsmw", "origin", "rangeserve", "rewrite", "sign", "sign/cdn"}

// nested are modules of their own, which bring the packages above together with what these do not depend on.
var nested = []string{"cluster", "metrics"}

// allowed are the imports beyond the standard library that the code of a package may have. Tests may have more.
var allowed = map[string][]string{
	"cache":   {"golang.org/x/sync/singleflight"},
	"origin":  {"golang.org/x/sync/semaphore"},
	"rewrite": {"github.com/Eyevinn/hls-m3u8/m3u8"},
	// It signs as its parent does, with other formats.
	"sign/cdn": {module + "/sign/internal/expiry", module + "/sign/internal/link"},
}

// A package that is new is in none of the lists, and nothing above looks at it.
func TestEveryPublicPackageIsKnown(t *testing.T) {
	known := slices.Concat(packages, nested)
	require.NoError(t, filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() || path == "." {
			return err
		}
		if name := d.Name(); strings.HasPrefix(name, ".") || slices.Contains([]string{"internal", "examples", "e2e", "testdata", "node_modules"}, name) {
			return fs.SkipDir
		}
		files, err := filepath.Glob(filepath.Join(path, "*.go"))
		if slices.ContainsFunc(files, func(file string) bool { return !strings.HasSuffix(file, "_test.go") }) {
			require.Contains(t, known, filepath.ToSlash(path))
		}
		return err
	}))
}

func TestNoPackageImportsASibling(t *testing.T) {
	for _, name := range packages {
		for file, imports := range importsOf(t, name) {
			for _, imp := range imports {
				first, _, _ := strings.Cut(imp, "/")
				if !strings.Contains(first, ".") || slices.Contains(allowed[name], imp) || strings.HasPrefix(imp, module+"/internal/") ||
					strings.HasPrefix(imp, module+"/"+name+"/internal/") {
					continue
				}
				require.True(t, strings.HasSuffix(file, "_test.go"), "%s imports %s", file, imp)
				own := strings.HasPrefix(module+"/"+name+"/", imp+"/") // or its parent
				require.False(t, strings.HasPrefix(imp, module) && !own, "%s imports the sibling %s", file, imp)
			}
		}
	}
}

func TestTheModuleHasThreeDirectDependencies(t *testing.T) {
	text, err := os.ReadFile("go.mod")
	require.NoError(t, err)
	var direct []string
	for _, m := range regexp.MustCompile(`(?m)^\s+(\S+\.\S+) v\S+(.*)$`).FindAllStringSubmatch(string(text), -1) {
		if !strings.Contains(m[2], "// indirect") {
			direct = append(direct, m[1])
		}
	}
	slices.Sort(direct)
	require.Equal(t, []string{"github.com/Eyevinn/hls-m3u8", "github.com/stretchr/testify", "golang.org/x/sync"}, direct)
}

func TestEveryExportedNameIsDocumented(t *testing.T) {
	for _, name := range slices.Concat(packages, nested) {
		p := docOf(t, name)
		require.NotEmpty(t, p.Doc, "package %s has no comment", name)
		for _, v := range slices.Concat(p.Consts, p.Vars) {
			requireValueDoc(t, name, v)
		}
		for _, f := range p.Funcs {
			assert.NotEmpty(t, f.Doc, "%s.%s", name, f.Name)
		}
		for _, typ := range p.Types {
			assert.NotEmpty(t, typ.Doc, "%s.%s", name, typ.Name)
			for _, v := range slices.Concat(typ.Consts, typ.Vars) {
				requireValueDoc(t, name, v)
			}
			for _, f := range slices.Concat(typ.Funcs, typ.Methods) {
				assert.NotEmpty(t, f.Doc, "%s.%s.%s", name, typ.Name, f.Name)
			}
			requireFieldDocs(t, name, typ)
		}
	}
}

func TestEveryPackageHasAnExampleWithOutput(t *testing.T) {
	for _, name := range packages {
		found := false
		for _, f := range parse(t, name, true) {
			for _, ex := range doc.Examples(f) {
				found = found || ex.Output != "" || ex.EmptyOutput
			}
		}
		require.True(t, found, "package %s has no Example with // Output:", name)
	}
}

func requireValueDoc(t *testing.T, pkg string, v *doc.Value) {
	t.Helper()
	for _, spec := range v.Decl.Specs {
		s := spec.(*ast.ValueSpec)
		for _, n := range s.Names {
			assert.True(t, !n.IsExported() || v.Doc != "" || s.Doc.Text() != "" || s.Comment.Text() != "", "%s.%s", pkg, n)
		}
	}
}

func requireFieldDocs(t *testing.T, pkg string, typ *doc.Type) {
	t.Helper()
	for _, spec := range typ.Decl.Specs {
		st, ok := spec.(*ast.TypeSpec).Type.(*ast.StructType)
		if !ok {
			continue
		}
		group := false // a comment above a field also serves the fields that follow it without a blank line
		for i, f := range st.Fields.List {
			own := f.Doc.Text() != "" || f.Comment.Text() != ""
			adjacent := i > 0 && f.Pos()-st.Fields.List[i-1].End() < 4
			group = own || group && adjacent
			for _, n := range f.Names {
				assert.True(t, !n.IsExported() || group, "%s.%s.%s", pkg, typ.Name, n)
			}
		}
	}
}

func importsOf(t *testing.T, dir string) map[string][]string {
	t.Helper()
	out := map[string][]string{}
	fset := token.NewFileSet()
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	require.NoError(t, err)
	require.NotEmpty(t, files, "package %s is empty", dir)
	for _, name := range files {
		f, err := parser.ParseFile(fset, name, nil, parser.ImportsOnly)
		require.NoError(t, err)
		for _, imp := range f.Imports {
			out[name] = append(out[name], strings.Trim(imp.Path.Value, `"`))
		}
	}
	return out
}

func parse(t *testing.T, dir string, tests bool) []*ast.File {
	t.Helper()
	return parseInto(t, token.NewFileSet(), dir, tests)
}

func parseInto(t *testing.T, fset *token.FileSet, dir string, tests bool) []*ast.File {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*.go"))
	require.NoError(t, err)
	var files []*ast.File
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") != tests {
			continue
		}
		f, err := parser.ParseFile(fset, name, nil, parser.ParseComments)
		require.NoError(t, err)
		files = append(files, f)
	}
	return files
}

func docOf(t *testing.T, dir string) *doc.Package {
	t.Helper()
	fset := token.NewFileSet()
	p, err := doc.NewFromFiles(fset, parseInto(t, fset, dir, false), module+"/"+dir)
	require.NoError(t, err)
	return p
}
