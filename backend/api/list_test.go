package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestWriteList_IsAsLongAsItSays(t *testing.T) {
	for _, count := range []int{0, 1, 2, 300} {
		parts := make([][]byte, count)
		for i := range parts {
			parts[i] = fmt.Appendf(nil, `{"id":%d,"text":"%s"}`, i, strings.Repeat("x", i*10))
		}
		var out bytes.Buffer
		writeList(&out, parts)
		require.Equal(t, lengthOfList(parts), out.Len())
		var read []struct{ ID int }
		require.NoError(t, json.Unmarshal(out.Bytes(), &read))
		require.Len(t, read, count)
		for i, one := range read {
			require.Equal(t, i, one.ID)
		}
	}
}

type gone struct{}

func (gone) Write([]byte) (int, error) { return 0, errors.New("gone") }

func TestWriteList_WhoHasGoneSpoilsNoOtherList(t *testing.T) {
	parts := [][]byte{bytes.Repeat([]byte("1"), 100_000), []byte("2")}
	for range 100 {
		writeList(gone{}, parts)
	}
	var out bytes.Buffer
	writeList(&out, [][]byte{[]byte("1"), []byte("2")})
	require.Equal(t, "[1,2]", out.String())
}
