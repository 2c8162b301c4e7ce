// Package mllab runs workspaces as services of an ML Lab, through its contaxy API: it implements workspace.Engine.
//
// It owns how a deployment becomes a service and back, the tokens of the people who are here, and how often the lab is
// asked. The lab keeps what should be of every service, and others (the lab's own pages, upstream's workspace manager, the
// lab itself when a service is idle) change it there; so this engine keeps what should be, in the sense of
// workspace.Capabilities. Services are made just as upstream's workspace manager makes them (facts: its app.py at v0.0.24),
// so that each shows what the other has made. It must not know limits, quotas, HTTP handlers or who may do what: whoever
// calls Visit has had that decided by the lab.
//
// What the lab does not keep of its services, which files are left of deleted ones and what the manager has to remember, is
// written into the JSON store of their owner's project, where others can change it, too; nobody waits for that, and nothing of
// it is believed. But a service is deleted to be written down again only after what it was is there, so that whoever comes after
// an end in between can do so; a token of its owner is put only into what bears a seal that nobody else can make.
//
// Nothing happens in the lab but on behalf of somebody: a person's token comes by Visit, and the one by which programs in
// their workspaces call the lab is asked for with it. Tokens stay in memory, and leave it only as LAB_API_TOKEN of the
// person's own workspaces.
//
// An Engine is safe for concurrent use. Calls to the lab are made without its lock; what is going on with a service is not
// overwritten by a look that began before.
package mllab
