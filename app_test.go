package main

import (
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The page's interface of the bound methods is written by hand, as Wails' generator does not know the types of the API.
// This keeps the two in step: every method with its number of arguments.
func TestThePageKnowsTheBoundMethods(t *testing.T) {
	source, err := os.ReadFile("frontend/src/api/desktop.ts")
	require.NoError(t, err)
	declared := regexp.MustCompile(`(?s)export interface DesktopApp \{(.*?)\n\}`).FindSubmatch(source)
	require.NotNil(t, declared)
	argument := regexp.MustCompile(`\w+\??: `)
	page := map[string]int{}
	for _, method := range regexp.MustCompile(`(?m)^  (\w+): \((.*)\) => Promise<`).FindAllSubmatch(declared[1], -1) {
		arguments := regexp.MustCompile(`\{[^}]*\}`).ReplaceAll(method[2], nil)
		page[string(method[1])] = len(argument.FindAll(arguments, -1))
	}
	bound := map[string]int{}
	app := reflect.TypeFor[*App]()
	for method := range app.Methods() {
		bound[method.Name] = method.Type.NumIn() - 1
	}
	require.Equal(t, bound, page)
}

func TestEmitter_SendsWholeCharacters(t *testing.T) {
	var sent []string
	e := &emitter{send: func(text string) { sent = append(sent, text) }}
	for _, b := range []byte("a研究🙂é\xff\n") {
		n, err := e.Write([]byte{b})
		require.NoError(t, err)
		require.Equal(t, 1, n)
	}
	require.Equal(t, "a研究🙂é\xff\n", strings.Join(sent, ""))
	require.Equal(t, []string{"a", "研", "究", "🙂", "é", "\xff", "\n"}, sent)
}
