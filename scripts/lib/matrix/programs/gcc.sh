# shellcheck shell=bash disable=SC2034,SC2154
kind='compiler, linker, make'
packages=(g++ gcc libc6-dev make)
entries=(make gcc g++)
check() {
  cat >hello.c <<'END'
#include <math.h>
#include <stdio.h>
int main(int count, char **words) {
  printf("%.3f %s\n", sqrt(count + 1), words[0]);
}
END
  cat >greet.cc <<'END'
#include <iostream>
#include <map>
#include <stdexcept>
#include <string>
int main() {
  std::map<std::string, int> numbers{{"a", 1}};
  try {
    std::cout << numbers.at("a") << std::endl << numbers.at("b");
  } catch (const std::out_of_range &) {
    std::cout << "caught" << std::endl;
  }
}
END
  printf 'all: hello greet\n\t@./hello\n\t@./greet\nhello: LDLIBS = -lm\n' >Makefile
  run make -s CC=gcc CXX=g++ CFLAGS=-O2 all
  run gcc -dumpversion | cut -d. -f1
}
expected() {
  printf '%s\n' '1.414 ./hello' 1 caught
  upstream gcc | cut -d. -f1
}
