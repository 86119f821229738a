// pmix_leaks.cc - what LeakSanitizer shall not hold against us: libpmix gives some of its memory
// back to nobody, and a launcher serves one gang.
#ifdef __SANITIZE_ADDRESS__

// The sanitizer's name for it. NOLINTNEXTLINE(bugprone-reserved-identifier)
extern "C" const char* __lsan_default_suppressions();

// NOLINTNEXTLINE(bugprone-reserved-identifier)
extern "C" const char* __lsan_default_suppressions() {
  return "leak:libpmix\nleak:pmix_mca_\n";
}

// Nor say each time what it did not hold against us. NOLINTNEXTLINE(bugprone-reserved-identifier)
extern "C" const char* __lsan_default_options();

// NOLINTNEXTLINE(bugprone-reserved-identifier)
extern "C" const char* __lsan_default_options() {
  return "print_suppressions=0";
}

#endif
