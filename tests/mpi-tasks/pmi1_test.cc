#include "mpi-tasks/pmi1.h"

#include <gtest/gtest.h>

#include <string>

namespace leat::mpi {
namespace {

const Layout& two_nodes() {
  static const Layout layout = Layout::make({{"a", {0, 1}}, {"b", {2, 3}}}).value();
  return layout;
}

class Pmi1Test : public testing::Test {
 protected:
  // The answer to one request; empty if there is none yet.
  std::string ask(Rank rank, const std::string& line) {
    last = pmi1.take(rank, line);
    return last.answers.empty() ? "" : last.answers.front().line;
  }

  Pmi1 pmi1{two_nodes(), 0, "kvs"};
  Pmi1::Outs last;
};

TEST_F(Pmi1Test, TellsARankAboutItsWorld) {
  EXPECT_EQ(ask(0, "cmd=init pmi_version=1 pmi_subversion=1"),
            "cmd=response_to_init pmi_version=1 pmi_subversion=1 rc=0\n");
  EXPECT_EQ(last.events.at(0).type, Pmi1::Event::Type::kConnected);
  EXPECT_EQ(ask(0, "cmd=get_maxes"),
            "cmd=maxes rc=0 kvsname_max=256 keylen_max=64 vallen_max=1024\n");
  EXPECT_EQ(ask(0, "cmd=get_universe_size"), "cmd=universe_size rc=0 size=4\n");
  EXPECT_EQ(ask(0, "cmd=get_my_kvsname"), "cmd=my_kvsname rc=0 kvsname=kvs\n");
  EXPECT_EQ(ask(0, "cmd=get kvsname=kvs key=PMI_process_mapping"),
            "cmd=get_result rc=0 msg=success value=(vector,(0,2,2))\n");
}

TEST_F(Pmi1Test, MakesKnownAtABarrierWhatRanksOfAllNodesHavePut) {
  EXPECT_EQ(ask(0, "cmd=put kvsname=kvs key=k value=a b=c"), "cmd=put_result rc=0 msg=success\n");
  EXPECT_EQ(ask(0, "cmd=get kvsname=kvs key=k"),
            "cmd=get_result rc=-1 msg=key_not_found value=unknown\n");
  EXPECT_EQ(ask(0, "cmd=barrier_in"), "");
  EXPECT_TRUE(last.events.empty());
  EXPECT_EQ(ask(1, "cmd=barrier_in"), "");
  ASSERT_EQ(last.events.size(), 1u);
  EXPECT_EQ(last.events[0].bytes, "k=a b=c\n");
  last = pmi1.take_gathered("far=x=y\n" + last.events[0].bytes);
  ASSERT_EQ(last.answers.size(), 2u);
  EXPECT_EQ(last.answers[1].rank, 1u);
  EXPECT_EQ(last.answers[1].line, "cmd=barrier_out rc=0\n");
  EXPECT_EQ(ask(1, "cmd=get kvsname=kvs key=k"), "cmd=get_result rc=0 msg=success value=a b=c\n");
  EXPECT_EQ(ask(1, "cmd=get kvsname=kvs key=far"), "cmd=get_result rc=0 msg=success value=x=y\n");
  // The next barrier begins with nothing.
  ask(0, "cmd=barrier_in");
  ask(1, "cmd=barrier_in");
  EXPECT_EQ(last.events.at(0).bytes, "");
}

TEST_F(Pmi1Test, TellsAnAbortFromAFinalize) {
  EXPECT_EQ(ask(1, "cmd=finalize"), "cmd=finalize_ack rc=0\n");
  EXPECT_EQ(last.events.at(0).type, Pmi1::Event::Type::kFinalized);
  EXPECT_EQ(ask(1, "cmd=abort exitcode=7"), "");
  EXPECT_EQ(last.events.at(0).status, 7);
}

TEST_F(Pmi1Test, RefusesWhatItDoesNotDoAndDoesNotHang) {
  EXPECT_EQ(ask(0, "mcmd=spawn"), "");
  EXPECT_EQ(ask(0, "execname=x"), "");
  EXPECT_EQ(ask(0, "endcmd"), "cmd=spawn_result rc=-1 errormsg=not_supported\n");
  EXPECT_EQ(ask(0, "cmd=lookup_name service=s"), "cmd=lookup_result rc=-1 msg=not_supported\n");
  EXPECT_EQ(ask(0, "nonsense"), "cmd= rc=-1 msg=unknown_command\n");
  EXPECT_EQ(ask(0, "cmd=put kvsname=kvs key=" + std::string(65, 'k') + " value=v"),
            "cmd=put_result rc=-1 msg=too_long\n");
  EXPECT_EQ(ask(0, "cmd=put kvsname=kvs key=k value=" + std::string(1025, 'v')),
            "cmd=put_result rc=-1 msg=too_long\n");
}

}  // namespace
}  // namespace leat::mpi
