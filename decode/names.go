package decode

import "hash/maphash"

// A nameSet is a list of fields without a name twice: the last value counts,
// at the place of the first.
type nameSet struct {
	fields []Field
	expect int     // how many there may be
	slots  []int32 // hash table of names, once there are many: field number + 1
	seed   maphash.Seed
}

// fewNames is how many are searched one by one before a table is worth it.
const fewNames = 32

// put returns the value of a field, which is to be filled in, and reports
// whether the name was there before.
func (s *nameSet) put(name string) (v *Value, again bool) {
	if i, ok := s.find(name); ok {
		s.fields[i].Value = Value{}
		return &s.fields[i].Value, true
	}
	s.fields, v = grow(s.fields, name)
	if s.slots != nil {
		s.enter(len(s.fields) - 1)
	}
	return v, false
}

func (s *nameSet) find(name string) (i int, ok bool) {
	if len(s.fields) < fewNames {
		for i := range s.fields {
			if s.fields[i].Name == name {
				return i, true
			}
		}
		return 0, false
	}
	if s.slots == nil {
		s.resize(max(s.expect, 4*fewNames))
	}
	slot := s.slot(name)
	return int(s.slots[slot]) - 1, s.slots[slot] != 0
}

// slot returns where a name is in the table, or is to be. The hash is seeded:
// nobody can choose names that collide.
func (s *nameSet) slot(name string) int {
	mask := len(s.slots) - 1
	for at := int(maphash.String(s.seed, name)) & mask; ; at = (at + 1) & mask {
		if n := s.slots[at]; n == 0 || s.fields[n-1].Name == name {
			return at
		}
	}
}

// enter puts field i, whose name is new, into the table.
func (s *nameSet) enter(i int) {
	if 2*len(s.fields) > len(s.slots) {
		s.resize(2 * len(s.fields))
		return
	}
	s.slots[s.slot(s.fields[i].Name)] = int32(i) + 1
}

// resize makes a table for n names and enters those that there are.
func (s *nameSet) resize(n int) {
	size := 1
	for size < 2*n {
		size *= 2
	}
	if s.slots == nil {
		s.seed = maphash.MakeSeed()
	}
	s.slots = make([]int32, size)
	for i := range s.fields {
		s.slots[s.slot(s.fields[i].Name)] = int32(i) + 1
	}
}
