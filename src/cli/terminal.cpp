#include "cli/terminal.h"

#include <sys/ioctl.h>

namespace fourstep {

size_t terminal_columns(int file_descriptor) {
  winsize size{};
  return ioctl(file_descriptor, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

}  // namespace fourstep
