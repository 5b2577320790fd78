package projections_test

import (
	"testing"

	"loyalty/eventstore/embedded"
	"loyalty/eventstore/storetest"
)

// What a projection must do holds beside every version of the event store. The tests by themselves have the newest.
func TestProjectionsKeepTheirPromisesOnEveryVersionOfTheEventStore(t *testing.T) {
	versions := embedded.Versions()
	for _, version := range versions[:len(versions)-1] {
		t.Run(version, func(t *testing.T) {
			t.Setenv(storetest.VersionVariable, version)
			t.Run("the past and then the present, in order", TestARunnerAppliesThePastAndThenThePresentInOrder)
			t.Run("from where the read model is", TestARunnerStartsWhereItsReadModelIs)
			t.Run("a batch that fails is applied again", TestABatchThatFailsIsAppliedAgain)
			t.Run("two runners, each event once", TestTwoRunnersOfOneReadModelApplyEachEventOnce)
			t.Run("complete while idle", TestAnIdleRunnerKeepsProvingThatItIsComplete)
			t.Run("an event that can't be decoded stops it", TestAnEventThatCannotBeDecodedStopsTheRunnerWithItsPosition)
			t.Run("complete behind events of others", TestAProjectionIsCompleteHoweverManyEventsOfOthersCameAfterItsOwn)
			t.Run("idle, it reaches the events of others", TestAnIdleProjectionReachesTheEventsOfOthers)
			t.Run("no restored log is followed", TestAReadModelDoesNotFollowARestoredLog)
			t.Run("no other log is followed", TestAReadModelDoesNotFollowAnotherLog)
			t.Run("an upgrade loses nothing", TestAnUpgradeWhileOlderProcessesRunLosesNothing)
			t.Run("a standby has caught up", TestARunnerThatAlwaysLosesHasCaughtUp)
		})
	}
}
