package contaxy

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
)

// Document is a JSON object that the lab keeps in a collection of a project, under a key.
type Document struct {
	Key   string
	Value json.RawMessage // as JSON; whoever may write in the project may have changed it
}

// UnmarshalJSON reads a document as the lab tells of it: its value as a text in which JSON is written.
func (d *Document) UnmarshalJSON(text []byte) error {
	var told struct {
		Key   string `json:"key"`
		Value string `json:"json_value"`
	}
	if err := json.Unmarshal(text, &told); err != nil {
		return err
	}
	d.Key, d.Value = told.Key, json.RawMessage(told.Value)
	return nil
}

func collectionPath(project, collection string) string {
	return "/projects/" + url.PathEscape(project) + "/json/" + url.PathEscape(collection)
}

func documentPath(project, collection, key string) string {
	return collectionPath(project, collection) + "/" + url.PathEscape(key)
}

// Documents lists the documents of a collection, in no particular order. A collection that nobody has made is empty.
func (c *Client) Documents(ctx context.Context, token, project, collection string) ([]Document, error) {
	var documents []Document
	err := c.call(ctx, token, http.MethodGet, collectionPath(project, collection), nil, nil, &documents)
	return documents, err
}

// PutDocument keeps value, which becomes a JSON object, in place of what was there. It makes the collection if need be.
func (c *Client) PutDocument(ctx context.Context, token, project, collection, key string, value any) error {
	var kept Document
	err := c.call(ctx, token, http.MethodPut, documentPath(project, collection, key), nil, value, &kept)
	if err == nil && kept.Key != key {
		err = nonsense(c.endpoint, nil)
	}
	return err
}

// DeleteDocument removes a document. CodeNotFound when there is none.
func (c *Client) DeleteDocument(ctx context.Context, token, project, collection, key string) error {
	return c.call(ctx, token, http.MethodDelete, documentPath(project, collection, key), nil, nil, nil)
}
