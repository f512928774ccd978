// The process environment, for settings that libraries read while they are being loaded (thread counts, spin
// counts). Links nothing but the C library, so that its JNI library can be loaded before any other.
#ifndef IGD_ENV_H_
#define IGD_ENV_H_

#include <stdlib.h>

// setenv(3): sets `name` to `value`; with overwrite 0 an existing value stays. Returns 0, or -1 for a bad name.
// Not safe against other threads that read the environment at the same moment: call it before they start.
static inline int igd_setenv(const char* name, const char* value, int overwrite) noexcept {
  return setenv(name, value, overwrite);
}

// getenv(3): the value, or NULL if unset. Owned by the process environment; valid until the variable changes.
static inline const char* igd_getenv(const char* name) noexcept { return getenv(name); }

#endif  // IGD_ENV_H_
