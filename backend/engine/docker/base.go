package docker

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"

	"github.com/docker/docker/api/types/image"

	"lab-workspace-manager/backend/workspace"
)

// baseLines is about how many lines the base script prints (measured), for a progress bar that is honest enough.
const baseLines = 450

// haveBase finds the image that a build starts from: here, from a registry unless pulling is switched off, or made on
// this machine.
func (e *Engine) haveBase(ctx context.Context, b Build, policy workspace.PullPolicy, report func(workspace.Progress)) (string, error) {
	for _, candidate := range []string{b.LocalBase, b.PublicBase} {
		if _, err := e.client.ImageInspect(ctx, candidate); err == nil {
			return candidate, nil
		}
	}
	if policy == workspace.PullNever {
		return b.LocalBase, e.makeBase(ctx, b, report)
	}
	report(workspace.Progress{Detail: "asking a registry for " + b.PublicBase})
	pullErr := e.pullPatiently(ctx, b.PublicBase, report)
	if pullErr == nil {
		return b.PublicBase, nil
	}
	if ctx.Err() != nil {
		return "", ctx.Err()
	}
	if workspace.CodeOf(pullErr) == workspace.CodeUnavailable {
		return "", pullErr
	}
	return b.LocalBase, e.makeBase(ctx, b, report)
}

// makeBase runs the script that makes a base image from Debian's packages, and imports what it writes.
func (e *Engine) makeBase(ctx context.Context, b Build, report func(workspace.Progress)) error {
	if err := canMakeBase(b); err != nil {
		return err
	}
	script := exec.CommandContext(ctx, "sh", "-s")
	script.Stdin = strings.NewReader(b.BaseScript)
	ownGroup(script)
	archive, err := script.StdoutPipe()
	if err != nil {
		return workspace.Errorf(workspace.CodeInternal, "The base image could not be prepared: %w", err)
	}
	talk, err := script.StderrPipe()
	if err != nil {
		return workspace.Errorf(workspace.CodeInternal, "The base image could not be prepared: %w", err)
	}
	if err := script.Start(); err != nil {
		return workspace.Errorf(workspace.CodeInternal, "The base image could not be made: %w", err)
	}
	last := make(chan string, 1)
	go func() { last <- followScript(talk, report) }()
	imported, importErr := e.importUntagged(ctx, archive)
	_, _ = io.Copy(io.Discard, archive) // the script must not hang on a pipe that nobody reads
	sentence := <-last
	if err := script.Wait(); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return &workspace.Error{Code: workspace.CodeInvalid, Message: "The base image could not be made: " + sentence, Err: err}
	}
	if importErr != nil {
		return e.translate(importErr, "import the base image")
	}
	return e.translate(e.client.ImageTag(ctx, imported, b.LocalBase), "name the base image")
}

// canMakeBase says in one sentence what is missing.
func canMakeBase(b Build) error {
	missing := &workspace.Error{Code: workspace.CodeInvalid}
	if os.Geteuid() != 0 {
		missing.Message = fmt.Sprintf("No registry gives out %s, and making a base image here needs root.", b.PublicBase)
		missing.Hint = "Run once: sudo lab-workspace-manager images build"
		return missing
	}
	if _, err := exec.LookPath("debootstrap"); err != nil {
		missing.Message = fmt.Sprintf("No registry gives out %s, and debootstrap, which makes a base image here, is not installed.", b.PublicBase)
		missing.Hint = "Run once: sudo apt-get install debootstrap"
		return missing
	}
	return nil
}

// followScript reports what the script says and returns its last line.
func followScript(talk io.Reader, report func(workspace.Progress)) string {
	lines, count, log := bufio.NewScanner(talk), int64(0), tail{}
	for lines.Scan() {
		count++
		log.add(strings.TrimSpace(lines.Text()))
		report(workspace.Progress{
			Detail:  "making the base image: " + strings.TrimPrefix(strings.TrimSpace(lines.Text()), "I: "),
			Current: min(count, baseLines), Total: baseLines, Unit: "steps", Log: log.lines,
		})
	}
	if len(log.lines) == 0 {
		return "the script said nothing"
	}
	return log.lines[len(log.lines)-1]
}

// importUntagged imports an archive and returns the id of the image. It gets its name only when the archive is known to
// be whole.
func (e *Engine) importUntagged(ctx context.Context, archive io.Reader) (string, error) {
	stream, err := e.client.ImageImport(ctx, image.ImportSource{Source: archive, SourceName: "-"}, "", image.ImportOptions{Changes: []string{`CMD ["bash"]`}})
	if err != nil {
		return "", err
	}
	defer func() { _ = stream.Close() }()
	id := ""
	err = readMessages(stream, func(line message) {
		if strings.HasPrefix(line.Status, "sha256:") {
			id = line.Status
		}
	})
	if err == nil && id == "" {
		err = errors.New("the engine did not name what it imported")
	}
	return id, err
}
