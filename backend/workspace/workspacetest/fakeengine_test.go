package workspacetest_test

import (
	"testing"

	"lab-workspace-manager/backend/workspace"
	"lab-workspace-manager/backend/workspace/workspacetest"
)

func TestFakeEngine_KeepsTheContract(t *testing.T) {
	workspacetest.TestEngine(t, workspace.AllButKeeping, func(*testing.T) workspacetest.EngineUnderTest {
		engine := workspacetest.NewFakeEngine()
		return workspacetest.EngineUnderTest{
			Engine: engine, Namespace: "labfake", MountPath: "/workspace",
			Good: workspacetest.FakeGoodImage, Exits: workspacetest.FakeExitingImage,
			Deaf: workspacetest.FakeDeafImage, Missing: workspacetest.FakeMissingImage,
			EndByHand:    func(id workspace.ID) { engine.EndByHand(id, "SIGTERM") },
			RemoveByHand: engine.RemoveByHand,
			Other:        func() workspace.Engine { return workspacetest.NewFakeEngine() },
		}
	})
}

func TestKeepingEngine_KeepsTheContract(t *testing.T) {
	can := workspacetest.NewKeepingEngine().Capabilities()
	workspacetest.TestEngine(t, can, func(*testing.T) workspacetest.EngineUnderTest {
		engine := workspacetest.NewKeepingEngine()
		return workspacetest.EngineUnderTest{
			Engine: engine, Namespace: workspacetest.KeepingNamespace, MountPath: "/workspace",
			Good: workspacetest.FakeGoodImage, Exits: workspacetest.FakeExitingImage,
			Deaf: workspacetest.FakeDeafImage, Missing: workspacetest.FakeMissingImage,
			EndByHand:    func(id workspace.ID) { engine.EndByHand(id, "SIGTERM") },
			RemoveByHand: engine.RemoveByHand,
		}
	})
}
