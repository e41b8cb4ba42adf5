package rewrite

import "context"

// Work is what a rewrite counts of itself, for a playlist that it may not finish.
func (rw *Rewriter) Work(playlist []byte, base string) (int, error) {
	st := open(rw, &pass{ctx: context.Background(), url: base, most: max(maxOutput, mostGrowth*len(playlist))}, playlist)
	defer st.free()
	_, err := st.run(nil, playlist)
	return st.pace.done + st.vars.spent(len(playlist)), err
}

func (v *variables) spent(playlist int) int { return expansions(playlist) - v.left }
