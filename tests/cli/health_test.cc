// Every check of leat doctor, provoked.

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "cli/health.h"
#include "tests/cli/fake_cluster.h"

namespace leat::cli {
namespace {

TEST(Health, JudgesWhatIsLeftOfADisk) {
  EXPECT_EQ(judge_disk("/d", {kFreeBytesMin, kFreeFilesMin, true}).health, Health::kGood);
  const Finding full = judge_disk("/d", {kFreeBytesMin - 1, kFreeFilesMin, true});
  EXPECT_EQ(full.health, Health::kWrong);
  EXPECT_NE(full.message.find("/d: only"), std::string::npos);
  EXPECT_EQ(judge_disk("/d", {kFreeBytesMin, kFreeFilesMin - 1, true}).health, Health::kWrong);
  EXPECT_EQ(judge_disk("/d", {kFreeBytesMin, 0, false}).health, Health::kGood);
}

TEST(Health, JudgesCertificatesByTheirLastDay) {
  constexpr std::int64_t kDay = 24 * 3600;
  EXPECT_EQ(judge_certificate("tls/user", 100 * kDay, 0).health, Health::kGood);
  EXPECT_EQ(judge_certificate("tls/user", kDaysLeftMin * kDay, 0).health, Health::kGood);
  EXPECT_EQ(judge_certificate("tls/user", kDaysLeftMin * kDay - 1, 0).health, Health::kWrong);
  EXPECT_EQ(judge_certificate("tls/user", 5, 5).message, "tls/user is no longer valid");
  EXPECT_NE(judge_certificate("tls/authority", 5, 5).remedy,
            judge_certificate("tls/user", 5, 5).remedy);
}

TEST(Health, JudgesClocksBothWays) {
  EXPECT_EQ(judge_clock(3, kSkewMax).health, Health::kGood);
  EXPECT_EQ(judge_clock(3, -kSkewMax).health, Health::kGood);
  EXPECT_EQ(judge_clock(3, kSkewMax + Duration(1'000'000)).message,
            "node 3: its clock is 6s ahead of the head's");
  EXPECT_EQ(judge_clock(3, -kSkewMax - Duration(1'000'000)).message,
            "node 3: its clock is 6s behind the head's");
}

TEST(Health, JudgesCgroupsAndAgents) {
  using Kind = CgroupView::Kind;
  EXPECT_EQ(judge_cgroup({Kind::kNone, false, false}).health, Health::kNote);
  EXPECT_EQ(judge_cgroup({Kind::kV2, false, true}).health, Health::kNote);
  EXPECT_EQ(judge_cgroup({Kind::kV2, true, false}).health, Health::kNote);
  EXPECT_EQ(judge_cgroup({Kind::kV2, true, true}).health, Health::kGood);
  EXPECT_EQ(judge_cgroup({Kind::kV1, true, true}).health, Health::kGood);
  EXPECT_EQ(judge_agent(1, "up", "h", true).health, Health::kGood);
  EXPECT_EQ(judge_agent(1, "up", "h", false).health, Health::kWrong);
  EXPECT_EQ(judge_agent(1, "lost", "h", false).health, Health::kWrong);
  EXPECT_EQ(judge_agent(1, "requested", "", false).health, Health::kGood);
  EXPECT_EQ(judge_store(false).health, Health::kWrong);
}

TEST(Health, HasARemedyForWhateverIsNotGood) {
  for (const Finding& finding :
       {judge_disk("/d", {0, 0, true}), judge_disk("/d", {kFreeBytesMin, 0, true}),
        judge_open_files(1), judge_processes(1), judge_certificate("tls/head", 0, 1),
        judge_clock(1, std::chrono::hours(1)), judge_cgroup({}), judge_head(false, true, true),
        judge_head(false, false, true), judge_head(false, false, false),
        judge_agent(1, "lost", "", false), judge_agent(1, "up", "", false), judge_store(false)}) {
    EXPECT_NE(finding.health, Health::kGood) << finding.message;
    EXPECT_FALSE(finding.remedy.empty()) << finding.message;
  }
}

// The command, in a home where all is well but for what a test spoils.
class DoctorTest : public testing::Test {
 protected:
  static constexpr std::int64_t kNow = 1'700'000'000;

  DoctorTest() {
    cluster.start_head();
    cluster.start_data_servers();
    cluster.world.agent_wall_s = kNow;
    cluster.world.fill_status = [](schema::Status::Builder status) {
      status.initDaemons(1)[0].setName("leat-store");
    };
  }

  int doctor() {
    cluster.console.written.clear();
    return cluster.run(kDoctor, {});
  }
  // The lines that say what is wrong, but for what the machine of the test may be short of.
  std::string wrong() const {
    std::string found;
    const std::string& page = cluster.console.written;
    for (std::size_t at = 0; at < page.size();) {
      const std::size_t end = page.find('\n', at) + 1;
      const std::string line = page.substr(at, end - at);
      const bool machine = line.rfind("! disk", 0) == 0 || line.rfind("! limits", 0) == 0;
      if (line[0] == '!' && !machine) found += line;
      at = end;
    }
    return found;
  }
  bool blames(const std::string& words) const { return wrong().find(words) != std::string::npos; }

  FakeCluster cluster;
};

TEST_F(DoctorTest, FindsNothingWrongWhereAllIsWell) {
  cluster.save_credentials("head", kNow + 100'000'000);
  const int code = doctor();
  EXPECT_EQ(wrong(), "");
  const bool all_well = cluster.console.written.ends_with("nothing is wrong\n");
  EXPECT_EQ(code, all_well ? 0 : 1);
  for (const char* const check : {"home:", "disk:", "limits:", "cgroup:", "certificates:", "head:",
                                  "store:", "agents:", "clock:"})
    EXPECT_NE(cluster.console.written.find(check), std::string::npos) << check;
}

TEST_F(DoctorTest, IsADocumentToo) {
  EXPECT_LE(cluster.run(kDoctor, {"--json"}), 1);
  const std::string& json = cluster.console.written;
  EXPECT_EQ(json.rfind("{\"version\":1,\"wrong\":", 0), 0u) << json;
  EXPECT_NE(json.find("\"findings\":[{\"check\":\"limits\",\"health\":\""), std::string::npos)
      << json;
}

TEST_F(DoctorTest, FindsACertificateAtItsEnd) {
  cluster.save_credentials("head", kNow - 1);
  EXPECT_EQ(doctor(), 1);
  EXPECT_TRUE(blames("tls/head is no longer valid")) << cluster.console.written;
}

TEST_F(DoctorTest, FindsAClockThatIsWrong) {
  cluster.world.agent_wall_s = kNow - 3600;
  EXPECT_EQ(doctor(), 1);
  EXPECT_TRUE(blames("node 3: its clock is")) << cluster.console.written;
}

TEST_F(DoctorTest, FindsAnAgentThatDoesNotAnswer) {
  cluster.world.agent_address = "127.0.0.1:1";
  EXPECT_EQ(doctor(), 1);
  EXPECT_TRUE(blames("data port does not answer")) << cluster.console.written;
}

TEST_F(DoctorTest, FindsASocketThatIsLeftOver) {
  cluster.kill_head();
  EXPECT_EQ(doctor(), 1);
  EXPECT_TRUE(blames("no head answers at its socket")) << cluster.console.written;
}

TEST_F(DoctorTest, FindsAStoreThatIsNotThere) {
  cluster.world.fill_status = nullptr;
  EXPECT_EQ(doctor(), 1);
  EXPECT_TRUE(blames("leat-store does not run")) << cluster.console.written;
}

TEST_F(DoctorTest, FindsAHomeThatOthersCanEnter) {
  ASSERT_EQ(::chmod(cluster.home.path.c_str(), 0755), 0);
  EXPECT_EQ(doctor(), 1);
  EXPECT_TRUE(blames("mode 0755 lets others in")) << cluster.console.written;
  ASSERT_EQ(::chmod(cluster.home.path.c_str(), 0700), 0);
}

TEST_F(DoctorTest, FindsAHomeThatIsNotThere) {
  cluster.home.path += "/none";
  EXPECT_EQ(doctor(), 1);
  EXPECT_TRUE(blames("no head has ever run here")) << cluster.console.written;
  cluster.home.path.resize(cluster.home.path.size() - 5);
}

TEST_F(DoctorTest, FindsALimitThatIsTooLow) {
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NPROC, &before), 0);
  const rlimit low{100, 100};
  // Lowering a hard limit is for ever, so a child does it.
  EXPECT_EXIT(
      {
        (void)::setrlimit(RLIMIT_NPROC, &low);
        rlimit now{};
        (void)::getrlimit(RLIMIT_NPROC, &now);
        std::_Exit(judge_processes(now.rlim_max).health == Health::kWrong ? 7 : 0);
      },
      testing::ExitedWithCode(7), "");
}

}  // namespace
}  // namespace leat::cli
