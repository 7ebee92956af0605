// How the dataplane ends; the numbers are those of sysexits.h. docs/reference/exit_codes.md.
#pragma once

namespace ringway::dp {

inline constexpr int kExitOk = 0;
inline constexpr int kExitUsage = 64;
inline constexpr int kExitUnavailable = 69;
inline constexpr int kExitInternal = 70;
inline constexpr int kExitCannotCreate = 73;
inline constexpr int kExitTemporary = 75;  // a take-over that was refused; the other dataplane goes on
inline constexpr int kExitConfig = 78;

}  // namespace ringway::dp
