// Tests of kernel programs load and attach them: without the right to do so they are skipped, and said to be.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  if (geteuid() != 0) {
    std::puts("skipped: kernel programs are loaded by root");
    return 77;
  }
  return RUN_ALL_TESTS();
}
