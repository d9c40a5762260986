/** Reads the bits of doubles or floats, one in hexadecimal on each line, and prints their text. */
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;

public class FloatText {
    public static void main(String[] arguments) throws Exception {
        boolean isDouble = arguments[0].equals("double");
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
        StringBuilder text = new StringBuilder();
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            if (isDouble) {
                text.append(Double.toString(Double.longBitsToDouble(Long.parseUnsignedLong(line, 16))));
            } else {
                text.append(Float.toString(Float.intBitsToFloat(Integer.parseUnsignedInt(line, 16))));
            }
            text.append('\n');
        }
        new PrintStream(System.out, true, "US-ASCII").print(text);
    }
}
