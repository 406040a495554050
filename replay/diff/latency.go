package diff

import (
	"cmp"
	"encoding/json"
	"maps"
	"math"
	"slices"
	"time"
)

// Latency is how long a command's first answer took on both sides.
type Latency struct {
	Name      string  `json:"name"`
	Left      Figures `json:"left"`
	Right     Figures `json:"right"`
	Regressed bool    `json:"regressed"`
}

// Figures are percentiles, in milliseconds in JSON.
type Figures struct {
	N                  int
	P50, P95, P99, Max time.Duration
}

// MarshalJSON writes milliseconds to three places.
func (f Figures) MarshalJSON() ([]byte, error) {
	ms := func(d time.Duration) float64 { return math.Round(float64(d)/float64(time.Microsecond)) / 1000 }
	return json.Marshal(struct {
		N   int     `json:"n"`
		P50 float64 `json:"p50"`
		P95 float64 `json:"p95"`
		P99 float64 `json:"p99"`
		Max float64 `json:"max"`
	}{f.N, ms(f.P50), ms(f.P95), ms(f.P99), ms(f.Max)})
}

// UnmarshalJSON reads what MarshalJSON writes.
func (f *Figures) UnmarshalJSON(text []byte) error {
	var in struct {
		N                  int
		P50, P95, P99, Max float64
	}
	if err := json.Unmarshal(text, &in); err != nil {
		return err
	}
	d := func(ms float64) time.Duration { return time.Duration(math.Round(ms*1000)) * time.Microsecond }
	*f = Figures{in.N, d(in.P50), d(in.P95), d(in.P99), d(in.Max)}
	return nil
}

// samples are the latencies of one command.
type samples struct{ left, right []time.Duration }

// When a latency counts as regressed.
const (
	regressedSamples = 20
	regressedFactor  = 1.5
	regressedBy      = 50 * time.Millisecond
	regressedP       = 0.001
)

// latencyReport compares how long each command's first answer took.
func (c *comparison) latencyReport() []Latency {
	out := []Latency{}
	names := maps.Clone(c.left.latency)
	maps.Copy(names, c.right.latency)
	for name := range names {
		s := samples{c.took(false, name), c.took(true, name)}
		if len(s.left)+len(s.right) == 0 {
			continue
		}
		out = append(out, Latency{Name: name, Left: figures(s.left), Right: figures(s.right), Regressed: regressed(&s)})
	}
	slices.SortFunc(out, func(a, b Latency) int { return cmp.Compare(a.Name, b.Name) })
	return out
}

// took lists the latencies of a command that count.
func (c *comparison) took(right bool, name string) (list []time.Duration) {
	side := c.left
	if right {
		side = c.right
	}
	a := side.latency[name]
	switch {
	case a == nil:
		return nil
	case c.opts.Only == nil:
		return a.took
	}
	for i, took := range a.took {
		if c.opts.Only(right, a.commands[i]) {
			list = append(list, took)
		}
	}
	return list
}

func figures(d []time.Duration) Figures {
	if len(d) == 0 {
		return Figures{}
	}
	d = slices.Sorted(slices.Values(d))
	at := func(p float64) time.Duration { return d[min(len(d)-1, int(math.Ceil(p*float64(len(d))))-1)] }
	return Figures{N: len(d), P50: at(0.50), P95: at(0.95), P99: at(0.99), Max: d[len(d)-1]}
}

// regressed reports whether the right side is slower beyond doubt.
func regressed(s *samples) bool {
	if len(s.left) < regressedSamples || len(s.right) < regressedSamples {
		return false
	}
	l, r := figures(s.left).P95, figures(s.right).P95
	return float64(r) > regressedFactor*float64(l) && r-l >= regressedBy && mannWhitney(s.left, s.right) < regressedP
}

// mannWhitney returns the probability, by the normal approximation with tied
// ranks averaged, that values of b are larger than those of a as often as seen
// if both came from one distribution.
func mannWhitney(a, b []time.Duration) float64 {
	type value struct {
		d time.Duration
		b bool
	}
	var all []value
	for _, d := range a {
		all = append(all, value{d, false})
	}
	for _, d := range b {
		all = append(all, value{d, true})
	}
	slices.SortFunc(all, func(x, y value) int { return cmp.Compare(x.d, y.d) })
	rankSum, ties := 0.0, 0.0
	for i := 0; i < len(all); {
		j := i
		for j < len(all) && all[j].d == all[i].d {
			j++
		}
		n := float64(j - i)
		ties += n*n*n - n
		for k := i; k < j; k++ {
			if all[k].b {
				rankSum += float64(i+1) + (n-1)/2
			}
		}
		i = j
	}
	na, nb := float64(len(a)), float64(len(b))
	n := na + nb
	u := rankSum - nb*(nb+1)/2
	sigma := math.Sqrt(na * nb / 12 * (n + 1 - ties/(n*(n-1))))
	if sigma == 0 {
		return 1
	}
	return math.Erfc((u-na*nb/2)/sigma/math.Sqrt2) / 2
}
