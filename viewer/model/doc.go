// Package model is the viewer without a terminal: what is shown, what is
// selected, and what a named action does to it. The package viewer draws it and
// feeds it keys; tests drive it directly.
//
// It never holds a session: a list is a window over the store's pages, and a
// selection is a seq, not a row number.
//
// # Views
//
// What fills the screen between the head and the foot is a [View]. Each is a
// file of its own and brings
//
//   - its [Name] and its rows in Bindings: keys name actions, and only that
//     table knows keys; the help screen is made from it;
//   - Do, which does the actions that its bindings name, and Click for the
//     mouse; scrolling has its names in common ([Steps]);
//   - Next, which says what slow work it wants done, as a [Task]: Do of a task
//     runs elsewhere, touches nothing of the view, and hands back functions that
//     put the answer in place, run where the view lives. A view is asked again
//     after each answer, and never blocks;
//   - Draw, which puts text on a [Canvas] in roles ([Style]); colours are the
//     terminal's business. Draw changes nothing.
//
// The [Model] holds the views as a stack: the last is on the screen, Esc takes
// it away. The views of one session that stand beside each other are [Tabs]: a
// digit changes between them at the place the user is at ([Placed]), and they
// keep their state until another session is opened. A view opens another with
// Push, shows one message with Read, and goes to a message in the list with
// Goto. All of this is called from one goroutine.
package model
