#include "mpi-tasks/interfaces.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace leat::mpi {
namespace {

const std::vector<HostInterface> kHas{{"lo", "127.0.0.1"},   {"lo", "::1"},
                                      {"eth0", "10.77.0.1"}, {"ib0", ""},
                                      {"eth0", "fd00:1::7"}, {"br-0.5", "192.168.130.9"}};

TEST(Interfaces, ThatAreThereAreNotMissing) {
  for (const char* wanted : {"", "lo", "eth0,lo", "ib0", "br-0.5", "10.0.0.0/8", "10.77.0.1/32",
                             "0.0.0.0/0", "192.168.128.0/17,eth0", "fd00::/8", "::1/128"})
    EXPECT_EQ(missing_interface(wanted, kHas), "") << wanted;
}

TEST(Interfaces, ThatAreMissingAreNamedWithThoseThereAre) {
  const std::string names = " (there are br-0.5, eth0, ib0, lo)";
  const std::string addresses = " (there are 10.77.0.1, 127.0.0.1, 192.168.130.9, ::1, fd00:1::7)";
  const std::pair<const char*, std::string> cases[] = {
      {"eth7", "no interface \"eth7\"" + names},
      {"eth", "no interface \"eth\"" + names},
      {"eth0,eth7,eth8", "no interface \"eth7\"" + names},
      {"10.0.0.7", "no interface \"10.0.0.7\"" + names},
      {"10.78.0.0/16", "no address in \"10.78.0.0/16\"" + addresses},
      {"192.168.0.0/17", "no address in \"192.168.0.0/17\"" + addresses},
      {"eth0,fd01::/16", "no address in \"fd01::/16\"" + addresses},
      {"10.0.0.0/33", "\"10.0.0.0/33\" is no network"},
      {"10.0.0/8", "\"10.0.0/8\" is no network"},
      {"10.0.0.0/", "\"10.0.0.0/\" is no network"},
      {"eth0/8", "\"eth0/8\" is no network"},
  };
  for (const auto& [wanted, says] : cases) EXPECT_EQ(missing_interface(wanted, kHas), says);
  EXPECT_EQ(missing_interface("eth0", {}), "no interface \"eth0\" (there are none)");
}

TEST(Interfaces, OfThisHostHaveALoopback) {
  EXPECT_EQ(missing_interface("lo", host_interfaces()), "");
}

}  // namespace
}  // namespace leat::mpi
