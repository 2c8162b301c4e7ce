// Package activity decides whether a workspace is in use.
//
// It owns votes (one piece of evidence each, with a reason for people), the rule that makes a verdict of them, and the
// ledger that remembers the newest evidence of every workspace. Whoever finds evidence of a new sort adds a vote; the
// rule does not know which sorts there are. It must not know where evidence comes from, who acts on a verdict, or what
// time it is.
//
// Decide is a pure function. A Ledger is safe for concurrent use, and noting traffic in it takes no lock. It lives in
// memory only: after a start of the manager every workspace gets the vote ManagerStarted, and with it its whole timeout.
package activity
