package docker

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/docker/docker/api/types/build"

	"lab-workspace-manager/backend/workspace"
)

// build makes an image from its context with the classic builder, which every engine has, and reports its steps.
func (e *Engine) build(ctx context.Context, image string, b Build, policy workspace.PullPolicy, anew bool, report func(workspace.Progress)) error {
	base, err := e.haveBase(ctx, b, policy, report)
	if err != nil {
		return err
	}
	files, err := e.contextArchive(b)
	if err != nil {
		return workspace.Errorf(workspace.CodeInternal, "The build of %s could not be prepared: %w", image, err)
	}
	args := proxyArguments()
	args[b.BaseArg] = &base
	answer, err := e.client.ImageBuild(ctx, files, build.ImageBuildOptions{
		Tags: []string{image}, BuildArgs: args, Version: build.BuilderV1, Remove: true, ForceRemove: true, NoCache: anew,
		Labels: map[string]string{labelContext: b.fingerprint()},
	})
	if err != nil {
		return e.buildError(ctx, image, err, nil)
	}
	defer func() { _ = answer.Body.Close() }()
	var steps buildProgress
	err = readMessages(answer.Body, func(line message) {
		if steps.hear(line.Stream) {
			report(steps.progress())
		}
	})
	if err != nil {
		return e.buildError(ctx, image, err, steps.log.lines)
	}
	return nil
}

// fingerprint tells one version of a build from another by everything that the image is made from here. An image carries
// it, so that one that an older program has built is known.
func (b Build) fingerprint() string {
	sum := sha256.New()
	_ = fs.WalkDir(b.Context, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := fs.ReadFile(b.Context, path)
		_, _ = fmt.Fprintf(sum, "%s %d\n%s", path, len(text), text) // a hash takes everything
		return err
	})
	return hex.EncodeToString(sum.Sum(nil)[:8])
}

func (e *Engine) buildError(ctx context.Context, image string, err error, log []string) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if translated := e.translate(err, "build the image"); workspace.CodeOf(translated) == workspace.CodeUnavailable {
		return translated
	}
	message := fmt.Sprintf("The image %s could not be built: %s.", image, plain(err))
	if len(log) > 0 {
		message += " The last line was: " + log[len(log)-1]
	}
	return &workspace.Error{Code: workspace.CodeInvalid, Message: message, Err: err}
}

// proxyArguments are the build arguments that Docker predefines for proxies, as far as this machine uses one.
func proxyArguments() map[string]*string {
	args := map[string]*string{}
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"} {
		if value, set := os.LookupEnv(name); set && value != "" {
			args[name] = &value
		}
	}
	return args
}

// contextArchive packs a build context, with the certificates that this machine trusts as one more file: companies that
// inspect TLS are the rule, and without them nothing can be installed during the build.
func (e *Engine) contextArchive(b Build) (io.Reader, error) {
	var certificates []byte
	if e.trustHostCA {
		certificates = hostCertificates()
	}
	reader, writer := io.Pipe()
	archive := tar.NewWriter(writer)
	go func() {
		err := packContext(archive, b.Context)
		if err == nil && b.CAFile != "" {
			err = packFile(archive, b.CAFile, certificates)
		}
		if err == nil {
			err = archive.Close()
		}
		_ = writer.CloseWithError(err) // always nil; the reader hears err
	}()
	return reader, nil
}

// packContext packs a folder with ordinary rights: embedded files are read-only, and COPY would carry that into the image.
func packContext(archive *tar.Writer, files fs.FS) error {
	return fs.WalkDir(files, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || path == "." {
			return err
		}
		if entry.IsDir() {
			return archive.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: path + "/", Mode: 0o755, ModTime: time.Unix(0, 0)})
		}
		text, err := fs.ReadFile(files, path)
		if err != nil {
			return err
		}
		return packFile(archive, path, text)
	})
}

func packFile(archive *tar.Writer, name string, text []byte) error {
	err := archive.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: int64(len(text)), ModTime: time.Unix(0, 0)})
	if err != nil {
		return err
	}
	_, err = archive.Write(text)
	return err
}

var stepLine = regexp.MustCompile(`^Step (\d+)/(\d+) : (.*)`)

// buildProgress follows the output of the classic builder.
type buildProgress struct {
	step, of int64
	what     string
	log      tail
}

// hear takes a piece of output and reports whether people shall see it.
func (p *buildProgress) hear(output string) bool {
	line := strings.TrimSpace(output)
	if line == "" {
		return false
	}
	p.log.add(line)
	if parts := stepLine.FindStringSubmatch(line); parts != nil {
		p.step, _ = strconv.ParseInt(parts[1], 10, 64) // digits, by the pattern
		p.of, _ = strconv.ParseInt(parts[2], 10, 64)
		p.what = parts[3]
	}
	return true
}

func (p *buildProgress) progress() workspace.Progress {
	what := p.what
	if len(what) > 60 {
		what = strings.ToValidUTF8(what[:60], "") + "…"
	}
	return workspace.Progress{
		Detail: fmt.Sprintf("step %d of %d: %s", p.step, p.of, what), Current: p.step, Total: p.of, Unit: "steps", Log: p.log.lines,
	}
}
