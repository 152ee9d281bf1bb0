# shellcheck shell=bash disable=SC2034,SC2154
kind='virtual machine, JIT compiler'
java=$(per_suite 17 21 25)
packages=("openjdk-$java-jre-headless")
entries=("/usr/lib/jvm/java-$java-openjdk-amd64/bin/java")
check() {
  cat >Program.java <<'END'
import java.security.MessageDigest;
import java.util.stream.IntStream;

class Program {
  public static void main(String[] words) throws Exception {
    System.out.println(Runtime.version().feature());
    System.out.println(IntStream.rangeClosed(1, 1000).parallel().sum());
    System.out.printf("%02x%n", MessageDigest.getInstance("SHA-256").digest()[0]);
  }
}
END
  run java Program.java
}
expected() {
  printf '%s\n' "$java" 500500 e3
}
